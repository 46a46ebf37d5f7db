//! An index within the process, and what an issuer would have put into it: an application, a resource, and a token of alice on
//! her phone. Nothing of this is needed where there is a Redis.

use std::sync::Arc;

use prost::Message as _;
use tokenbind_index::memory::MemoryIndex;
use tokenbind_index::{
    BindingId, BindingIndex as _, BindingTag, BindingValue, Clock, DocumentKind, DocumentStore as _, Expect,
    Generation, IndexError, Issue, IssuePolicy, Locator, Namespace, Nonce, OpaqueToken, Put, SlotDefinition, Subject,
    SystemClock, TokenDigest,
};
use tokenbind_proto::index::v1::{ApplicationRecord, ResourceRecord, TokenRecord};
use tokenbind_proto::v1::{Application, BindingType, Resource, TokenFormat};
use tokenbind_validator::InProcessValidator;
use tokenbind_validator::facts::{CacheLimits, FactInputs};

const CLIENT: &str = "shop";
const RESOURCE: &str = "orders-api";

/// A validator, and a token that is good with the device `phone-1`.
pub(crate) async fn validator() -> Result<(InProcessValidator, String), IndexError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let index = Arc::new(MemoryIndex::new(Arc::clone(&clock)));
    let application = ApplicationRecord {
        application: Some(Application {
            client_id: CLIENT.to_owned(),
            enforce_binding: true,
            ..Application::default()
        }),
        secrets: vec![],
    };
    let put = async |kind, id, body| index.put_document(kind, id, body, Expect::Any).await;
    let put_application = put(DocumentKind::Application, CLIENT, application.encode_to_vec()).await?;
    let generation = match put_application {
        Put::Stored { generation, .. } => generation,
        Put::Conflict => 0,
    };
    let resource = ResourceRecord {
        resource: Some(Resource {
            resource_id: RESOURCE.to_owned(),
            accepted_client_ids: vec![CLIENT.to_owned()],
            ..Resource::default()
        }),
        secrets: vec![],
    };
    put(DocumentKind::Resource, RESOURCE, resource.encode_to_vec()).await?;
    let token = issue(&index, generation).await?;
    let facts = FactInputs {
        store: index.clone(),
        tracking: Some(index),
        clock,
        limits: CacheLimits::default(),
    };
    Ok((InProcessValidator::new(facts, Namespace::default()), token))
}

async fn issue(index: &MemoryIndex, generation: Generation) -> Result<String, IndexError> {
    let subject = Subject::User("alice".to_owned());
    let device = BindingId::parse("phone-1")
        .ok()
        .flatten()
        .map(BindingValue::ClientRequest);
    let reference = device
        .as_ref()
        .map(|device| device.reference(&Namespace::default(), CLIENT));
    let definition = SlotDefinition {
        client_id: CLIENT,
        subject: &subject,
        scopes: &["orders.read".to_owned()].into(),
        audiences: &[RESOURCE.to_owned()].into(),
        format: TokenFormat::Opaque,
        actor: None,
        binding: reference,
    };
    let locator = Locator {
        home: subject.home(),
        slot: definition.slot(),
        nonce: Nonce([1; 16]),
    };
    let token = OpaqueToken {
        locator,
        secret: [2; 32],
    };
    let token = token.encode();
    let record = TokenRecord {
        generation,
        digest: TokenDigest::of(&token).0.to_vec(),
        lifetime_ms: 60_000,
        format: TokenFormat::Opaque.into(),
        binding_type: BindingType::ClientRequest.into(),
        binding_ref: reference.map(|reference| reference.0.to_vec()).unwrap_or_default(),
        client_id: CLIENT.to_owned(),
        subject: subject.claim(),
        scopes: vec!["orders.read".to_owned()],
        audiences: vec![RESOURCE.to_owned()],
        nonce: vec![1; 16],
        ..TokenRecord::default()
    };
    let issue = Issue {
        home: locator.home,
        slot: locator.slot,
        record,
        binding: device.map_or(BindingTag::UNBOUND, |device| device.tag(&locator.home)),
        policy: IssuePolicy::Replace,
        limit: None,
    };
    index.issue(issue).await?;
    Ok(token)
}
