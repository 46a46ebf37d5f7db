//! A real LDAP server: slapd of `OpenLDAP`.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokenbind_tests::{free_port, tool};

/// Where everybody is.
pub(crate) const BASE: &str = "cn=people";
/// Who may search.
pub(crate) const READER: &str = "cn=reader,cn=people";
/// Of everybody but those who have none.
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const READER_PASSWORD: &str = "the reader's";

/// Attributes that are built in, so that no schema has to be found: `uid`, `cn`, `description`, `userPassword`.
const CONFIG: &str = r#"
objectclass ( 1.1.2.2.1 NAME 'testEntry' SUP top STRUCTURAL MUST ( cn ) MAY ( uid $ userPassword $ description ) )
database ldif
suffix "cn=people"
rootdn "cn=root,cn=people"
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=reader,cn=people" read by * none
"#;

fn entry(cn: &str, uids: &[&str], password: Option<&str>, description: &[&str]) -> String {
    let mut lines = vec![
        format!("dn: cn={cn},cn=people"),
        "objectClass: testEntry".to_owned(),
        format!("cn: {cn}"),
    ];
    lines.extend(uids.iter().map(|uid| format!("uid: {uid}")));
    lines.extend(password.map(|password| format!("userPassword: {password}")));
    lines.extend(description.iter().map(|text| format!("description: {text}")));
    lines.join("\n") + "\n\n"
}

fn people() -> String {
    let people = "dn: cn=people\nobjectClass: testEntry\ncn: people\n\n".to_owned();
    people
        + &entry("reader", &[], Some(READER_PASSWORD), &[])
        + &entry("Alice A.", &["alice"], Some(PASSWORD), &["staff", "admin"])
        + &entry("Bob", &["bob"], Some("another password"), &[])
        + &entry("none", &["passwordless"], None, &[])
        + &entry("first twin", &["twin"], Some(PASSWORD), &[])
        + &entry("second twin", &["twin"], Some(PASSWORD), &[])
        + &entry("star", &["*"], Some("of the star"), &[])
        + &entry("two names", &["one", "two"], Some(PASSWORD), &[])
}

/// A running server.
pub(crate) struct Slapd {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    scheme: &'static str,
    process: Child,
}

impl Slapd {
    pub(crate) fn start() -> Self {
        Self::with("ldap", "")
    }

    /// With further configuration, before that of the database.
    pub(crate) fn with(scheme: &'static str, config: &str) -> Self {
        let program = tool("TOKENBIND_TEST_SLAPD", "slapd").expect("slapd; `scripts/setup` gets what the tests need");
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("database");
        std::fs::create_dir(&database).unwrap();
        let config = format!("{config}\n{CONFIG}\ndirectory {}\n", database.display());
        std::fs::write(folder.path().join("slapd.conf"), config).unwrap();
        std::fs::write(folder.path().join("people.ldif"), people()).unwrap();
        let added = Command::new(&program)
            .args(["-Ta", "-q", "-f"])
            .arg(folder.path().join("slapd.conf"))
            .arg("-l")
            .arg(folder.path().join("people.ldif"))
            .output()
            .unwrap();
        assert!(
            added.status.success(),
            "slapadd: {}",
            String::from_utf8_lossy(&added.stderr)
        );
        // A port that is free now may be taken a moment later: then the server ends at once, and another is tried.
        for _ in 0..20 {
            let port = free_port();
            let mut process = spawn(&program, &folder, scheme, port);
            if is_up(&mut process, port) {
                return Self {
                    program,
                    folder,
                    port,
                    scheme,
                    process,
                };
            }
        }
        panic!("slapd does not start");
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.process = spawn(&self.program, &self.folder, self.scheme, self.port);
        assert!(is_up(&mut self.process, self.port), "slapd starts again");
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(program: &PathBuf, folder: &TempDir, scheme: &str, port: u16) -> Child {
    Command::new(program)
        // Stays in the foreground.
        .args(["-d", "0", "-h", &format!("{scheme}://127.0.0.1:{port}"), "-f"])
        .arg(folder.path().join("slapd.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn is_up(process: &mut Child, port: u16) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if process.try_wait().is_ok_and(|ended| ended.is_some()) {
            return false;
        }
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}
