//! The door asked by the tools that people ask with.

use std::collections::BTreeSet;
use std::path::PathBuf;

use trellis_core::Status;
use trellis_dns::Options;
use trellis_registry::{NodeRegistration, ServiceKey};
use trellis_testkit::program;

use crate::support::{Door, soon};

/// A tool, and how it is told to ask once: whatever needs a second try is a fault.
struct Tool {
    program: PathBuf,
    once: &'static [&'static str],
    /// Against asking again with a version that both know.
    no_negotiation: &'static [&'static str],
}

fn tools() -> [Tool; 2] {
    let dig = Tool {
        program: program("dig", "bind9-dnsutils").unwrap(),
        once: &["+tries=1", "+time=20"],
        no_negotiation: &["+noednsnegotiation"],
    };
    let kdig = Tool {
        program: program("kdig", "knot-dnsutils").unwrap(),
        once: &["+retry=0", "+timeout=20"],
        no_negotiation: &[],
    };
    [dig, kdig]
}

impl Tool {
    /// What it prints.
    async fn ask(&self, door: &Door, arguments: &[&str]) -> String {
        let address = door.dns.address();
        let mut command = tokio::process::Command::new(&self.program);
        command.arg(format!("@{}", address.ip())).args(["-p", &address.port().to_string()]);
        command.args(self.once);
        command.args(arguments).kill_on_drop(true);
        let output = soon(command.output()).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!text.to_lowercase().contains("warning: extra") && !text.contains("malformed"), "{text}");
        text
    }

    /// The data of the answers, one a line.
    async fn short(&self, door: &Door, arguments: &[&str]) -> BTreeSet<String> {
        let mut all = arguments.to_vec();
        all.push("+short");
        let text = self.ask(door, &all).await;
        // Lines in front of which ';' stands are remarks, such as that it asks again over TCP.
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with(';'));
        lines.map(str::to_owned).collect()
    }
}

fn set<const N: usize>(lines: [&str; N]) -> BTreeSet<String> {
    lines.map(str::to_owned).into()
}

/// Where the registry says that a service is.
fn registered(door: &Door, service: &str) -> BTreeSet<String> {
    let snapshot =
        door.registry.snapshot(&ServiceKey::of(service.parse::<trellis_registry::Name>().unwrap()));
    let up = snapshot.entries.iter().filter(|entry| entry.is_up());
    up.map(|entry| entry.host().to_owned()).collect()
}

#[tokio::test]
async fn addresses_agree_with_the_registry_as_it_changes() {
    let door = Door::open().await;
    door.put("web", 5);
    for tool in tools() {
        let addresses = tool.short(&door, &["web.service.consul", "A"]).await;
        assert_eq!(addresses.len(), 5);
        assert_eq!(addresses, registered(&door, "web"));
        assert_eq!(tool.short(&door, &["v1.web.service.dc1.consul", "A"]).await, addresses);
        door.registry.set_status(&"web-2".parse().unwrap(), Status::Down).unwrap();
        let fewer = tool.short(&door, &["web.service.consul", "A", "+tcp"]).await;
        assert_eq!((fewer.len(), &fewer), (4, &registered(&door, "web")));
        door.registry.set_status(&"web-2".parse().unwrap(), Status::Up).unwrap();
        assert_eq!(tool.short(&door, &["web.service.consul", "AAAA"]).await, set([]));
    }
    door.close().await;
}

#[tokio::test]
async fn srv_targets_lead_to_the_addresses() {
    let door = Door::open().await;
    door.put("web", 2);
    for tool in tools() {
        let targets = tool.short(&door, &["_web._tcp.service.consul", "SRV"]).await;
        let expected = set(["1 1 8001 0a000001.addr.dc1.consul.", "1 1 8002 0a000002.addr.dc1.consul."]);
        assert_eq!(targets, expected);
        assert_eq!(tool.short(&door, &["0a000002.addr.dc1.consul", "A"]).await, set(["10.0.0.2"]));
        let whole = tool.ask(&door, &["_web._tcp.service.consul", "SRV"]).await;
        let head = whole.to_lowercase();
        assert!(head.contains("answer: 2") && head.contains("flags: qr aa rd;"), "{whole}");
        let six = "20010db8000000000000000000000001.addr.dc1.consul";
        assert_eq!(tool.short(&door, &[six, "AAAA"]).await, set(["2001:db8::1"]));
    }
    door.close().await;
}

#[tokio::test]
async fn nodes_and_reverse() {
    let door = Door::open().await;
    let name: trellis_registry::Name = "Box-1".parse().unwrap();
    let node = NodeRegistration {
        metadata: [("role".into(), "db".into())].into_iter().collect(),
        ..NodeRegistration::new(name, "10.9.0.1")
    };
    door.registry.put_node(node).await.unwrap();
    door.put("web", 1);
    for tool in tools() {
        assert_eq!(tool.short(&door, &["box-1.node.consul", "A"]).await, set(["10.9.0.1"]));
        assert_eq!(tool.short(&door, &["box-1.node.consul", "TXT"]).await, set(["\"role=db\""]));
        assert_eq!(tool.short(&door, &["-x", "10.9.0.1"]).await, set(["Box-1.node.dc1.consul."]));
        assert_eq!(tool.short(&door, &["-x", "10.0.0.1"]).await, set(["web.service.dc1.consul."]));
        let none = tool.ask(&door, &["-x", "2001:db8::9"]).await;
        assert!(none.contains("NXDOMAIN"), "{none}");
    }
    door.close().await;
}

#[tokio::test]
async fn sizes() {
    let door = Door::open().await;
    door.put("web", 200);
    for tool in tools() {
        // What does not fit is cut, unless the tool asks again over TCP, as it does by itself.
        for (arguments, most) in [
            (["+noedns", "+ignore"], 40),
            (["+bufsize=1232", "+ignore"], 80),
            (["+bufsize=4096", "+ignore"], 80),
        ] {
            let mut all = vec!["web.service.consul", "A"];
            all.extend(arguments);
            let text = tool.ask(&door, &all).await;
            let flags = text.lines().find(|line| line.to_lowercase().contains("flags:")).unwrap().to_owned();
            assert!(flags.contains(" tc"), "{text}");
            let answers = text.lines().filter(|line| line.contains("\tA\t")).count();
            assert!((3..most).contains(&answers), "{answers} with {arguments:?}");
        }
        let whole = tool.short(&door, &["web.service.consul", "A", "+bufsize=512"]).await;
        assert_eq!(whole, registered(&door, "web"));
        assert_eq!(tool.short(&door, &["web.service.consul", "A", "+tcp"]).await, whole);
    }
    assert!(door.dns.stats().truncated >= 8, "{:?}", door.dns.stats());
    door.close().await;
}

#[tokio::test]
async fn what_is_refused() {
    let door = Door::open_with(Options { udp_tasks: 1, ..Options::default() }).await;
    for tool in tools() {
        for (arguments, status) in [
            (&["example.com", "A"][..], "REFUSED"),
            (&["web", "A"], "REFUSED"),
            (&["-c", "CH", "-t", "TXT", "version.bind"], "REFUSED"),
            (&["consul", "SOA", "+edns=1"], "BADVERS"),
            (&["web.service.consul", "A"], "NXDOMAIN"),
            (&["web.ingress.consul", "A"], "NXDOMAIN"),
            (&["service.consul", "A"], "NOERROR"),
        ] {
            let mut all = arguments.to_vec();
            if status == "BADVERS" {
                all.extend(tool.no_negotiation);
            }
            let text = tool.ask(&door, &all).await;
            assert!(text.contains(status), "{arguments:?} {text}");
        }
        let soa = tool.short(&door, &["consul", "SOA"]).await;
        assert_eq!(soa, set(["ns.consul. hostmaster.consul. 1700000000 3600 600 86400 0"]));
        let negative = tool.ask(&door, &["nothing.service.consul", "A"]).await;
        assert!(negative.contains("hostmaster.consul."), "{negative}");
    }
    door.close().await;
}
