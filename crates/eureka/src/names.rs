//! Names of apps and ids of instances, outside and inside.

use trellis_core::{Error, InstanceId, codes};
use trellis_registry::{Instance, Name};

use crate::labels;

/// The service that an app is: its name in lower case.
pub(crate) fn service(app: &str) -> Result<Name, Error> {
    let invalid =
        |error| Error::new(codes::INVALID_PARAMETER, format!("the app cannot be a service: {error}"));
    app.to_ascii_lowercase().parse().map_err(invalid)
}

/// The app that a service is: its name in upper case.
pub(crate) fn app(service: &Name) -> String {
    service.as_str().to_ascii_uppercase()
}

/// An id as the registry may know it.
pub(crate) fn id(text: &str) -> Result<InstanceId, Error> {
    text.parse().map_err(|error| Error::new(codes::INVALID_PARAMETER, format!("{text:?}: {error}")))
}

/// What an instance is called inside if another app has its id already.
pub(crate) fn qualified(id: &str, service: &Name) -> Result<InstanceId, Error> {
    self::id(&format!("{id}@{}", service.as_str().to_ascii_lowercase())).map_err(|error| {
        let text = format!(
            "another app has an instance {id:?}, and together with the app's name the id is too long"
        );
        Error::new(codes::INVALID_PARAMETER, text).because(error)
    })
}

/// What an instance is called outside: the id with which it came, or one that says on which node it is.
pub(crate) fn shown(instance: &Instance, own: &Name) -> String {
    match instance.definition.metadata.get(labels::INSTANCE_ID) {
        Some(id) => id.to_owned(),
        None if instance.key.node == *own => instance.key.id.to_string(),
        None => format!("{}@{}", instance.key.id, instance.key.node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_are_upper_case_outside_and_lower_case_inside() {
        let service = service("My-Orders_2.x").unwrap();
        assert_eq!(service.as_str(), "my-orders_2.x");
        assert_eq!(app(&service), "MY-ORDERS_2.X");
    }

    #[test]
    fn what_cannot_be_a_service_is_refused_with_the_rule() {
        for bad in ["", "a b", "a/b", "-a", "ü", &"x".repeat(129)] {
            let refused = super::service(bad).unwrap_err();
            assert_eq!(refused.status(), 400);
            assert!(refused.detail().contains("1 to 128 of A-Z"), "{refused}");
        }
    }

    #[test]
    fn an_id_that_is_too_long_together_with_its_app_is_refused() {
        let app = service("orders").unwrap();
        assert_eq!(qualified("h", &app).unwrap().as_str(), "h@orders");
        assert!(qualified(&"x".repeat(125), &app).unwrap_err().detail().contains("too long"));
    }
}
