use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use trellis_core::Phase;
use trellis_testkit::{Platform, PlatformOptions, Postgres, python};

const LIMIT: Duration = Duration::from_secs(30);

/// Answers every GET with its process id and what the environment says.
const MODULE: &str = r#"
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"pid": os.getpid(), "greeting": os.environ.get("GREETING"), "path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// An application of one module, in this folder.
fn application(folder: &Path) -> PathBuf {
    std::fs::write(folder.join("module.py"), MODULE).unwrap();
    let manifest = folder.join("trellis.toml");
    let text = format!(
        "[app]\nname = \"tiny\"\n[module.hello]\ncommand = [\"{}\", \"module.py\"]\ndatabase = \"none\"\nroutes = [\"/hello/**\"]\n",
        python().unwrap().display()
    );
    std::fs::write(&manifest, text).unwrap();
    manifest
}

async fn hello(platform: &Platform) -> anyhow::Result<Value> {
    platform.get("/hello/there").send().await?.expect(200)?.json()
}

#[tokio::test]
async fn a_platform_is_started_disturbed_and_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let options = PlatformOptions::new(application(folder.path())).env("GREETING", "hi");
    let mut platform = Platform::start(options).await.unwrap();
    let first = hello(&platform).await.unwrap();
    assert_eq!((&first["greeting"], &first["path"]), (&"hi".into(), &"/hello/there".into()));

    let killed = platform.kill_module("hello").await.unwrap();
    assert_eq!(first["pid"], killed.pid.unwrap(), "the platform tells the right process");
    platform.wait_restarted(&killed, LIMIT).await.unwrap();
    let second = hello(&platform).await.unwrap();
    assert_ne!(second["pid"], first["pid"]);

    assert_eq!(platform.stop().await.unwrap(), 0);
    assert!(hello(&platform).await.is_err(), "nobody listens any more");
    assert!(platform.stop().await.is_err() && platform.kill().await.is_err());

    platform.start_again().await.unwrap();
    hello(&platform).await.unwrap();
    platform.kill().await.unwrap();
    platform.start_again().await.unwrap();
    hello(&platform).await.unwrap();
    assert!(platform.log().lines().count() > 3, "{}", platform.log());
}

#[tokio::test]
async fn settings_change_a_copy_of_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = application(folder.path());
    let before = std::fs::read_to_string(&manifest).unwrap();
    let options = PlatformOptions::new(&manifest)
        .set("module.hello.replicas", 2)
        .set("module.hello.env.GREETING", "from the manifest");
    let platform = Platform::start(options).await.unwrap();
    assert_eq!(platform.modules().await.unwrap().len(), 2);
    assert_eq!(hello(&platform).await.unwrap()["greeting"], "from the manifest");
    assert_eq!(std::fs::read_to_string(&manifest).unwrap(), before);
}

#[tokio::test]
async fn a_failed_start_shows_the_log_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = application(folder.path());
    std::fs::write(folder.path().join("module.py"), "raise SystemExit('no luck today')").unwrap();
    let options = PlatformOptions::new(&manifest).set("module.hello.start_timeout", "1s").ready_within(LIMIT);
    let Err(error) = Platform::start(options).await else { panic!("it started") };
    assert!(format!("{error:#}").contains("no luck today"), "{error:#}");

    std::fs::write(&manifest, "[app]\nnam = \"tiny\"\n").unwrap();
    let Err(error) = Platform::start(PlatformOptions::new(&manifest)).await else { panic!("it started") };
    let error = format!("{error:#}");
    assert!(error.contains("trellis ended while starting") && error.contains("nam"), "{error}");
}

#[tokio::test]
async fn the_shop_runs_in_each_phase_and_on_each_database() {
    let server = Postgres::shared().unwrap();
    for phase in [Phase::Monolith, Phase::Microservices] {
        for database in [None, Some(server.fresh_database().unwrap())] {
            let options = PlatformOptions::shop().phase(phase);
            let options = database.iter().fold(options, |options, url| options.database(url));
            let mut platform = Platform::start(options).await.unwrap();
            let users: Value =
                platform.get("/api/users").send().await.unwrap().expect(200).unwrap().json().unwrap();
            assert_eq!(users[0]["name"], "Alice", "{phase}, {database:?}: {users}");
            let processes = platform.modules().await.unwrap().len();
            assert_eq!(processes == 1, phase == Phase::Monolith);
            assert_eq!(platform.stop().await.unwrap(), 0);
        }
    }
}
