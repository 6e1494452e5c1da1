//! The labels in which an instance keeps what Eureka knows of it and the registry has no field for.

/// What they all begin with. Labels of clients may not.
pub(crate) const PREFIX: &str = "eureka.";
/// The host name. Every instance that came through this door has it, and no other.
pub(crate) const HOST_NAME: &str = "eureka.hostName";
/// The address, if it is not what the registry has as host.
pub(crate) const IP_ADDR: &str = "eureka.ipAddr";
/// The id, if it is another inside.
pub(crate) const INSTANCE_ID: &str = "eureka.instanceId";
/// The plain port, as `8080` or `8080 off`, if it is not the registry's.
pub(crate) const PORT: &str = "eureka.port";
/// The port with TLS, likewise.
pub(crate) const SECURE_PORT: &str = "eureka.securePort";
/// Seconds from one heartbeat to the next, if not 30.
pub(crate) const RENEWAL: &str = "eureka.renewalIntervalInSecs";
/// The country, if it is not 1.
pub(crate) const COUNTRY: &str = "eureka.countryId";
/// When the instance last changed what it says, as it says.
pub(crate) const DIRTY: &str = "eureka.lastDirtyTimestamp";
/// What data center the instance is in, if not `MyOwn`.
pub(crate) const DATA_CENTER: &str = "eureka.dataCenterInfo";
/// What is known of it there, one label for each key.
pub(crate) const DATA_CENTER_OF: &str = "eureka.dataCenterInfo.";
/// Whether it says that it is a registry itself, if it does.
pub(crate) const COORDINATING: &str = "eureka.isCoordinatingDiscoveryServer";

/// Texts that are kept as they come, in the order in which Eureka shows them. Each is kept as `eureka.` and its name.
pub(crate) const TEXTS: [&str; 9] = [
    "sid",
    "appGroupName",
    "homePageUrl",
    "statusPageUrl",
    "healthCheckUrl",
    "secureHealthCheckUrl",
    "vipAddress",
    "secureVipAddress",
    "asgName",
];

/// The label of one of [`TEXTS`].
pub(crate) fn of(text: &str) -> String {
    format!("{PREFIX}{text}")
}
