//! Several issuers and validators as processes of their own, over whatever store, and who can be asked.

use std::process::Command;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::json;
use tokenbind_tests::history::{Promises, Recorder};
use tokenbind_tests::{
    ADMIN_SECRET_SHA256, ForeignKey, Installation, Process, channel, health, now, start_service, validator_command,
    wait_until,
};
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::load::calls::Caller;
use crate::secured::Secured;

/// How long what validators keep may be used after the store was last heard. Half of what it is by default, so that twice as
/// many faults are longer.
pub(crate) const LEASE: Duration = Duration::from_secs(1);
/// How long it may take until everything works again. Nothing is promised of that: a starved machine is slow, and a store whose
/// replicas are late refuses to revoke.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Of each kind of service.
pub(crate) const REPLICAS: usize = 2;
/// The validator that is killed again and again, where one is. Nothing else is done to it.
pub(crate) const MORTAL: usize = REPLICAS;
/// The applications, by their numbers.
pub(crate) const APPLICATIONS: [&str; 2] = ["jwt", "opaque"];
/// How many clients there are.
pub(crate) const CLIENTS: usize = 6;
/// The users: for each client one who is revoked now and then, and after all of these for each one who never is. Each
/// application is a subject after them.
pub(crate) const USERS: usize = 2 * CLIENTS;
pub(crate) const PASSWORD: &str = "correct horse";
/// Of [`PASSWORD`].
const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$GzIZ31k2LgSqslmKpHCZYQ$gKGXa+IxScPHA2vz8j25zhm4d9sZowDrn3piDhCzv+U";
pub(crate) const RESOURCE: &str = "orders-api";
/// How long a new key is published before it is used, in seconds.
pub(crate) const KEY_WAIT: Duration = Duration::from_secs(2);
/// The services of this number have a clock that can be set wrong, where anything can.
pub(crate) const CLOCK: usize = 1;
/// The issuer id.
const ISSUER: &str = "http://localhost:7001";
const FOREIGN_ISSUER: &str = "https://robots.example";

/// Who can be asked: a process that is started again listens elsewhere, and is here what it was.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) issuers: Vec<RwLock<Channel>>,
    pub(crate) validators: Vec<RwLock<Channel>>,
    /// Signs assertions that the issuers accept.
    robots: ForeignKey,
}

impl Directory {
    pub(crate) fn of(role: Role, directory: &Self) -> &[RwLock<Channel>] {
        match role {
            Role::Issuer => &directory.issuers,
            Role::Validator => &directory.validators,
        }
    }

    /// An assertion for a subject that nobody else has.
    pub(crate) fn assertion(&self, number: usize) -> String {
        let claims = json!({
            "iss": FOREIGN_ISSUER, "sub": format!("robot-{number}"), "aud": ISSUER, "iat": now(), "exp": now() + 300,
            "jti": format!("assertion-{number}"),
        });
        self.robots.sign(&claims)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Issuer,
    Validator,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Validator => "validator",
        }
    }
}

/// One process.
pub(crate) struct Service {
    pub(crate) role: Role,
    pub(crate) number: usize,
    redis_url: String,
    files: Arc<Files>,
    pub(crate) process: Process,
    address: String,
    /// It was started again, and clients are not told before it is ready.
    new: Option<Channel>,
}

/// What services are started with.
pub(crate) struct Files {
    pub(crate) installation: Arc<Installation>,
    /// None: plain text, and clocks that are right.
    pub(crate) secured: Option<Arc<Secured>>,
    arguments: Vec<String>,
}

impl Service {
    fn start(role: Role, number: usize, redis_url: String, files: &Arc<Files>) -> Self {
        let (process, address) = start_service(role.name(), files.command(role, number, &redis_url));
        Self {
            role,
            number,
            redis_url,
            files: Arc::clone(files),
            process,
            address,
            new: None,
        }
    }

    /// A connection to one that listens there.
    pub(crate) fn connect(&self, address: &str) -> Channel {
        let secured = self.files.secured.as_ref();
        secured.map_or_else(|| channel(address), |secured| secured.channel(address))
    }

    /// Starts it again when it has ended.
    pub(crate) fn start_again(&mut self) {
        let command = self.files.command(self.role, self.number, &self.redis_url);
        (self.process, self.address) = start_service(self.role.name(), command);
        self.new = Some(self.connect(&self.address));
    }

    /// Ends it in the middle of whatever it does, and starts it again without waiting for it.
    pub(crate) fn kill_and_start(&mut self) {
        self.process.kill();
        let command = self.files.command(self.role, self.number, &self.redis_url);
        self.process = Process::start(self.role.name(), command);
    }
}

impl Files {
    fn command(&self, role: Role, number: usize, redis_url: &str) -> Command {
        let mut command = match role {
            Role::Issuer => {
                let mut command = self.installation.issuer_command_over(redis_url);
                command.args(&self.arguments);
                command
            }
            Role::Validator => {
                let mut command = validator_command(redis_url);
                command.args(["--lease-ms", &LEASE.as_millis().to_string()]);
                command
            }
        };
        if let Some(secured) = &self.secured {
            secured.with_tls(&mut command);
            if number == CLOCK {
                secured.with_clock(&mut command);
            }
        }
        command
    }
}

/// Everything but the store.
pub(crate) struct Rig {
    pub(crate) directory: Arc<Directory>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) services: Vec<Service>,
    /// [`MORTAL`], until it is plagued.
    pub(crate) mortal: Option<Service>,
    pub(crate) promises: Promises,
    pub(crate) installation: Arc<Installation>,
    pub(crate) secured: Option<Arc<Secured>>,
}

impl Rig {
    /// Starts the services, each with the address of the store that `redis_url` has for it, and waits until they serve.
    /// `replicas` have to have a revocation before it is acknowledged.
    pub(crate) async fn start(
        redis_url: impl Fn(Role, usize) -> String,
        replicas: u32,
        secured: Option<Secured>,
        is_plagued: bool,
    ) -> Self {
        let robots = ForeignKey::new("robots");
        let secured = secured.map(Arc::new);
        let installation = Arc::new(Installation::new(redis_url(Role::Issuer, 0)));
        installation.declare(&catalog(&robots));
        let wait = KEY_WAIT.as_secs().to_string();
        let mut arguments = ["--issuer", ISSUER, "--key-wait-seconds", &wait]
            .map(str::to_owned)
            .to_vec();
        if replicas > 0 {
            let wait = ["--redis-min-replicas", &replicas.to_string(), "--redis-wait-ms", "400"];
            arguments.extend(wait.map(str::to_owned));
        }
        let files = Arc::new(Files {
            installation: Arc::clone(&installation),
            secured: secured.clone(),
            arguments,
        });
        let (mut services, mut issuers, mut validators) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..REPLICAS {
            for (role, channels) in [(Role::Issuer, &mut issuers), (Role::Validator, &mut validators)] {
                let service = Service::start(role, number, redis_url(role, number), &files);
                channels.push(RwLock::new(service.connect(&service.address)));
                services.push(service);
            }
        }
        let mortal = is_plagued.then(|| {
            let url = redis_url(Role::Validator, MORTAL);
            let mortal = Service::start(Role::Validator, MORTAL, url, &files);
            validators.push(RwLock::new(mortal.connect(&mortal.address)));
            mortal
        });
        let mut rig = Self {
            directory: Arc::new(Directory {
                issuers,
                validators,
                robots,
            }),
            recorder: Arc::default(),
            services,
            mortal,
            promises: Promises {
                bound: u64::try_from(LEASE.as_micros()).unwrap(),
                replicated: replicas > 0,
                issuers_behind: 2_000_000,
                grace_uses: 0,
            },
            installation,
            secured,
        };
        rig.ready().await;
        rig
    }

    /// Waits until every service says that it serves. Clients are told of those that were started again, and not sooner, as by a
    /// load balancer.
    pub(crate) async fn ready(&mut self) {
        for service in &mut self.services {
            let replica = &Directory::of(service.role, &self.directory)[service.number];
            let known = || replica.read().unwrap_or_else(PoisonError::into_inner).clone();
            let channel = service.new.take().unwrap_or_else(known);
            serves(&channel, service.role, service.number, ServingStatus::Serving).await;
            *replica.write().unwrap_or_else(PoisonError::into_inner) = channel;
        }
    }

    /// Who makes calls of the test's own beside the load.
    pub(crate) fn caller(&self) -> Caller {
        Caller {
            directory: Arc::clone(&self.directory),
            recorder: Arc::clone(&self.recorder),
        }
    }

    /// Waits until one says this.
    pub(crate) async fn says(&self, role: Role, number: usize, status: ServingStatus) {
        serves(&self.channel(role, number), role, number, status).await;
    }

    pub(crate) fn channel(&self, role: Role, number: usize) -> Channel {
        let channel = &Directory::of(role, &self.directory)[number];
        channel.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn service(&mut self, role: Role, number: usize) -> &mut Service {
        let found = self.services.iter_mut();
        found
            .into_iter()
            .find(|service| service.role == role && service.number == number)
            .unwrap()
    }

    /// Starts one again that has ended.
    pub(crate) fn start_again(&mut self, role: Role, number: usize) {
        self.service(role, number).start_again();
    }

    /// Clients make a new connection to it.
    pub(crate) fn reconnect(&mut self, role: Role, number: usize) {
        let service = self.service(role, number);
        let channel = service.connect(&service.address);
        let replica = &Directory::of(role, &self.directory)[number];
        *replica.write().unwrap_or_else(PoisonError::into_inner) = channel;
    }
}

async fn serves(channel: &Channel, role: Role, number: usize, status: ServingStatus) {
    wait_until(&format!("{role:?} {number} is {status:?}"), PATIENCE, async || {
        (health(channel, "").await == Some(status)).then_some(())
    })
    .await;
}

fn catalog(robots: &ForeignKey) -> String {
    let applications = APPLICATIONS.map(|name| {
        format!(
            "  - client_id: {name}\n    token_format: {name}\n    binding_type: client-request\n    \
             grants: [client_credentials, password, refresh_token, jwt_bearer]\n    scopes: [orders.read]\n    \
             audiences: [{RESOURCE}]\n    refresh_tokens: {{grace_seconds: 0, grace_uses: 0}}\n    \
             secret_sha256: [{ADMIN_SECRET_SHA256}]\n"
        )
    });
    let users = (0..USERS).map(|user| format!("  - username: user-{user}\n    password_hash: \"{PASSWORD_HASH}\"\n"));
    let names = APPLICATIONS.join(", ");
    let rest = format!(
        "resources:\n  - resource_id: {RESOURCE}\n    accepted_client_ids: [{names}]\n    \
         secret_sha256: [{ADMIN_SECRET_SHA256}]\n\
         trusted_issuers:\n  - name: robots\n    issuer: {FOREIGN_ISSUER}\n    algorithms: [EdDSA]\n    jwks: '{}'\n\
         exchange_policies:\n  - name: robots\n    grants: [jwt_bearer]\n    client_ids: [{names}]\n    \
         subject_issuer: robots\n    subjects: [\"robot-*\"]\n    audiences: [{RESOURCE}]\n    scopes: [orders.read]\n",
        robots.jwks()
    );
    let mut catalog = applications.concat();
    catalog.push_str("users:\n");
    catalog.extend(users);
    catalog + &rest
}
