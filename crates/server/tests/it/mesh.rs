//! The mesh: what the control plane tells proxies, and proxies with and without it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{self, Platform, Proxy, Web, http, stderr};

const TWO: &str = r#"
    [defaults]
    command = ["./web.py"]
    database = "none"
    [module.web]
    needs = ["store"]
    routes = ["/web/**"]
    [module.store]
    [[cluster]]
    name = "steady-store"
    service = "store"
    timeout = "7s"
"#;

fn kill(pid: &Value) {
    let pid = i32::try_from(pid.as_i64().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_proxy_is_told_what_to_do_and_of_every_change() {
    let folder = support::folder(TWO);
    let platform = Platform::up(folder.path(), &["--phase", "service_mesh"]);
    let config = |query: &str| http::get(&platform.admin(&format!("/v1/mesh/config?{query}")));
    let first = config("service=web&instance=web-1").json();
    assert_eq!(first["services"], serde_json::json!(["store", "web"]));
    assert_eq!((&first["meshed"], &first["cluster"][0]["timeout"]), (&first["services"], &"7s".into()));
    let module = platform.ready["modules"].as_array().unwrap().iter().find(|m| m["id"] == "web-1").unwrap();
    assert_eq!(first["app"], format!("127.0.0.1:{}", module["port"]));
    assert!(config("service=web").json()["app"].is_null(), "only an instance has an address");
    for wrong in ["", "service=A B", "service=web&revision=x", "service=web&wait=soon", "service=web&what=1"]
    {
        let refused = config(&wrong.replace(' ', "%20"));
        assert_eq!((refused.status, &refused.json()["code"]), (400, &"TRL2010".into()), "{wrong}");
    }

    // A revision that is known waits; another is answered at once.
    let known = first["revision"].as_u64().unwrap();
    let again = config(&format!("service=web&instance=web-1&revision={known}&wait=1ms")).json();
    assert_eq!(again["revision"], known);
    assert_eq!(config(&format!("service=web&instance=web-1&revision={}&wait=5m", known + 1)).status, 200);
    let url = platform.admin(&format!("/v1/mesh/config?service=web&instance=web-1&revision={known}&wait=5m"));
    let waiting = http::begin("GET", &url, &[]);
    let changed = TWO.replace("7s", "8s");
    let applied = http::put(&platform.admin("/v1/gateway/config"), "application/toml", &changed);
    assert_eq!(applied.status, 200, "{applied:?}");
    let second = http::read(waiting).json();
    assert_ne!(second["revision"], known);
    assert_eq!(second["cluster"][0]["timeout"], "8s");
    platform.stop();
}

#[test]
fn in_the_mesh_instances_are_reached_and_call_through_their_proxies() {
    let folder = support::folder(TWO);
    let platform = Platform::up(folder.path(), &["--phase", "service_mesh"]);
    let proxies = platform.ready["proxies"].as_array().unwrap();
    let proxy = proxies.iter().find(|proxy| proxy["of"] == "web-1").unwrap();
    let web = http::get(&platform.admin("/v1/services/web")).json();
    assert_eq!((&web["status"], &web["instances"][0]["port"]), (&"UP".into(), &proxy["inbound"]));
    assert!(web["instances"][0]["metadata"]["app"].as_str().unwrap().starts_with("127.0.0.1:"));
    let said = http::get(&platform.gateway("/web/1")).json();
    assert_eq!((&said["path"], &said["TRELLIS_PHASE"]), (&"/web/1".into(), &"service_mesh".into()));

    let out = format!("http://127.0.0.1:{}/x", proxy["outbound"]);
    for host in ["store", "store:8080", "STORE"] {
        assert_eq!(http::send("GET", &out, &[("host", host)]).json()["TRELLIS_MODULES"], "store");
    }
    let nobody = http::send("GET", &out, &[("host", "nobody")]);
    assert_eq!((nobody.status, &nobody.json()["code"]), (404, &"TRL1001".into()));
    assert!(nobody.head.contains("trellis-proxy: 1"), "{nobody:?}");

    let forged = http::send("GET", &out.replace("/x", "/forged"), &[("host", "store")]);
    assert!(forged.status == 200 && !forged.head.contains("trellis-proxy"), "{forged:?}");

    let own = |path: &str| http::get(&format!("http://127.0.0.1:{}{path}", proxy["admin"]));
    let shown = own("/v1/proxy").json();
    assert_eq!((&shown["service"], &shown["instance"]), (&"web".into(), &"web-1".into()));
    assert!(shown["inbound"]["requests"].as_u64() >= Some(1) && own("/metrics/outbound").status == 200);

    let status = stdout_of(&platform, &["status"]);
    assert!(status.contains("web-1-proxy") && status.contains("proxy of web-1"), "{status}");
    platform.stop();
}

fn stdout_of(platform: &Platform, args: &[&str]) -> String {
    let admin = platform.admin("");
    let output = support::run(Path::new("/"), &[args, &["--admin", &admin]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    support::stdout(&output)
}

#[test]
fn an_instance_is_up_only_with_its_proxy_which_comes_back_by_itself() {
    let folder = support::folder(&format!("{TWO}\n[defaults.restart]\nbackoff = \"2s\"\n"));
    let platform = Platform::up(folder.path(), &["--phase", "service_mesh"]);
    let process = |id: &str| {
        let status = http::get(&platform.admin("/v1/status")).json();
        status["processes"].as_array().unwrap().iter().find(|p| p["id"] == id).unwrap().clone()
    };
    let before = process("web-1-proxy");
    kill(&before["pid"]);
    support::eventually("it takes no traffic", || {
        let web = http::get(&platform.admin("/v1/services/web")).json();
        (web["status"] == "DOWN").then_some(())
    });
    let refused = http::get(&platform.gateway("/web/1"));
    assert_eq!((refused.status, &refused.json()["code"]), (503, &"TRL1003".into()));
    let said = support::eventually("it answers again", || {
        let answer = http::get(&platform.gateway("/web/1"));
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(said["pid"], process("web-1")["pid"], "the instance itself went on");
    let after = process("web-1-proxy");
    assert_eq!((&after["restarts"], &after["port"]), (&1.into(), &before["port"]));
    platform.stop();
}

#[test]
fn a_proxy_goes_on_without_the_control_plane_and_finds_it_again() {
    let folder = support::folder("[module.idle]\ncommand = [\"./web.py\"]\ndatabase = \"none\"\n");
    let (web, other) = (Web::start(folder.path()), Web::start(folder.path()));
    let first = Platform::up(folder.path(), &[]);
    web.register(&first.admin(""), "reports");
    let app = format!("127.0.0.1:{}", other.port);
    let admin = first.admin("");
    let proxy = Proxy::start(&admin, &["--service", "orders", "--app", &app]);
    assert_eq!(proxy.ready["instance"], "orders-1");
    assert_eq!(proxy.call("reports", "/a").json()["pid"], web.pid());
    assert_eq!(http::get(&proxy.at("inbound", "/b")).json()["pid"], other.pid());

    first.signal(Signal::KILL);
    first.wait();
    for _ in 0..20 {
        assert_eq!(proxy.call("reports", "/a").json()["pid"], web.pid());
        assert_eq!(http::get(&proxy.at("inbound", "/b")).json()["pid"], other.pid());
    }

    let second = Platform::up_at(folder.path(), admin.strip_prefix("http://").unwrap(), &[]);
    // What the new one knows counts, as soon as it is heard: the old registration is gone, and there is another.
    other.register(&second.admin(""), "billing");
    support::eventually("the new service is known", || {
        let answer = proxy.call("billing", "/c");
        (answer.status == 200 && answer.json()["pid"] == other.pid()).then_some(())
    });
    second.stop();
}

/// Writes `ca.pem`, and `mesh.pem` with `mesh-key.pem` that comes from it.
fn certify(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(vec!["mesh.trellis".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &authority).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    std::fs::write(folder.join("mesh.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("mesh-key.pem"), key.serialize_pem()).unwrap();
}

const TLS: &str = "[mesh.tls]\ncert = \"mesh.pem\"\nkey = \"mesh-key.pem\"\nca = \"ca.pem\"\n";

#[test]
fn proxies_speak_tls_with_each_other_and_with_the_gateway() {
    let folder = support::folder(&format!("{TWO}\n{TLS}"));
    certify(folder.path());
    let platform = Platform::up(folder.path(), &["--phase", "service_mesh"]);
    assert_eq!(http::get(&platform.gateway("/web/1")).json()["TRELLIS_MODULES"], "web");
    let proxy = platform.ready["proxies"].as_array().unwrap().iter().find(|p| p["of"] == "web-1").unwrap();
    let out = format!("http://127.0.0.1:{}/x", proxy["outbound"]);
    assert_eq!(http::send("GET", &out, &[("host", "store")]).json()["TRELLIS_MODULES"], "store");

    // Whoever has no certificate gets nowhere.
    let port = u16::try_from(proxy["inbound"].as_u64().unwrap()).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(support::DEADLINE)).unwrap();
    stream.write_all(b"GET /web/1 HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&answer));
    platform.stop();
}

#[test]
fn files_for_tls_that_cannot_be_used_are_told_before_anything_runs() {
    let folder = support::folder(&format!("{TWO}\n{TLS}"));
    let output = support::run(folder.path(), &["up", "--phase", "service_mesh", "--any-port"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("ca.pem"), "{}", stderr(&output));
}

#[test]
fn a_file_holds_until_the_control_plane_answers() {
    let folder = support::folder("");
    let web = Web::start(folder.path());
    let manifest = format!(
        "[[route]]\npath = \"/**\"\ncluster = \"bank\"\n[[cluster]]\nname = \"bank\"\nendpoints = [\"127.0.0.1:{}\"]\n",
        web.port
    );
    let file = folder.path().join("proxy.toml");
    std::fs::write(&file, manifest).unwrap();
    let proxy = Proxy::start("http://127.0.0.1:1", &["--service", "orders", "-c", file.to_str().unwrap()]);
    assert_eq!(proxy.call("bank", "/").json()["pid"], web.pid());
    let unknown = http::get(&proxy.at("inbound", "/"));
    assert_eq!(
        (unknown.status, &unknown.json()["code"]),
        (503, &"TRL1003".into()),
        "its instance is not known"
    );
}

#[test]
fn only_what_asks_for_a_certificate_may_be_reached_by_others() {
    let folder = support::folder(TWO);
    let file = folder.path().join("trellis.toml").display().to_string();
    for open in ["--inbound", "--outbound", "--admin-listen"] {
        let mut doors =
            ["--inbound", "127.0.0.1:0", "--outbound", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let at = doors.iter().position(|word| *word == open).unwrap();
        doors[at + 1] = "0.0.0.0:0";
        let output =
            support::run(folder.path(), &[&["proxy", "--service", "web", "-c", &file], &doors[..]].concat());
        assert_eq!(output.status.code(), Some(1), "{open}");
        assert!(stderr(&output).contains("TRL3010") && stderr(&output).contains(open), "{}", stderr(&output));
    }
}

#[test]
fn a_proxy_has_to_be_told_where_it_listens() {
    let folder = tempfile::tempdir().unwrap();
    let output = support::run(folder.path(), &["proxy", "--service", "orders"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--inbound 127.0.0.1:0"), "{}", stderr(&output));
    let help = support::stdout(&support::run(folder.path(), &["proxy", "--help"]));
    assert!(help.contains("Examples:") && help.contains("--control"), "{help}");
}
