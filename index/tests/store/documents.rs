//! What every store promises of documents.

use std::time::Duration;

use tokenbind_index::{Delete, DocumentKind, Expect, Put};

use crate::harness::Harness;

crate::harness::on_every_store!(
    documents_are_put_only_as_expected,
    documents_are_deleted_and_remembered,
    documents_are_listed_in_order,
    r4_a_generation_is_raised,
    ids_are_just_values,
);

async fn documents_are_put_only_as_expected(on: Harness) {
    let kind = DocumentKind::Application;
    let put = async |body: &str, expect| {
        on.store
            .put_document(kind, "a", body.into(), expect)
            .await
            .expect("put")
    };
    assert_eq!(put("1", Expect::Version(1)).await, Put::Conflict);
    let Put::Stored { version, .. } = put("1", Expect::Absent).await else {
        panic!("absent")
    };
    assert_eq!(put("2", Expect::Absent).await, Put::Conflict);
    assert_eq!(put("2", Expect::Version(version + 1)).await, Put::Conflict);
    let Put::Stored { version: second, .. } = put("2", Expect::Version(version)).await else {
        panic!("version")
    };
    assert!(second > version);
    assert_eq!(put("3", Expect::Version(version)).await, Put::Conflict);
    assert!(matches!(put("3", Expect::Any).await, Put::Stored { .. }));
    let stored = on.store.document(kind, "a").await.expect("read").expect("there");
    assert_eq!(stored.body, b"3");
    assert_eq!(
        on.store.document(DocumentKind::User, "a").await.expect("read"),
        None,
        "another kind"
    );
}

async fn documents_are_deleted_and_remembered(on: Harness) {
    let kind = DocumentKind::Application;
    let delete = async |expect| {
        on.store
            .delete_document(kind, "a", expect, 60_000)
            .await
            .expect("delete")
    };
    let generation = async || {
        on.store
            .put_document(kind, "a", Vec::new(), Expect::Absent)
            .await
            .expect("put");
        on.store
            .document(kind, "a")
            .await
            .expect("read")
            .expect("there")
            .generation
    };
    assert_eq!(delete(Expect::Any).await, Delete::Absent);
    let first = generation().await;
    assert_eq!(delete(Expect::Version(1)).await, Delete::Conflict);
    assert_eq!(delete(Expect::Any).await, Delete::Deleted);
    assert_eq!(on.store.document(kind, "a").await.expect("read"), None);
    on.advance(Duration::from_secs(30));
    assert!(
        generation().await > first,
        "what was issued under the deleted one stays dead"
    );
    on.advance(Duration::from_secs(3_600));
    assert!(
        on.store.document(kind, "a").await.expect("read").is_some(),
        "a document does not expire"
    );
    assert_eq!(delete(Expect::Any).await, Delete::Deleted);
    on.advance(Duration::from_secs(61));
    generation().await;
}

async fn documents_are_listed_in_order(on: Harness) {
    for id in ["b", "a", "ä", "c", "a/b", ""] {
        on.store
            .put_document(DocumentKind::User, id, id.into(), Expect::Absent)
            .await
            .expect("put");
    }
    on.store
        .put_document(DocumentKind::Resource, "aa", Vec::new(), Expect::Absent)
        .await
        .expect("put");
    let list = async |after, limit| {
        let found = on
            .store
            .documents(DocumentKind::User, after, limit)
            .await
            .expect("list");
        found
            .into_iter()
            .map(|(id, document)| (id, document.body))
            .collect::<Vec<_>>()
    };
    let expected: Vec<_> = ["", "a", "a/b", "b", "c", "ä"]
        .map(|id| (id.to_owned(), id.as_bytes().to_vec()))
        .into();
    assert_eq!(list(None, 100).await, expected);
    assert_eq!(list(None, 2).await, expected[..2]);
    assert_eq!(list(Some("a/b"), 2).await, expected[3..5]);
    assert_eq!(list(Some("zz"), 2).await, expected[5..]);
}

async fn r4_a_generation_is_raised(on: Harness) {
    let kind = DocumentKind::Application;
    assert_eq!(on.store.raise_generation(kind, "a").await.expect("raise"), None);
    on.store
        .put_document(kind, "a", b"1".to_vec(), Expect::Absent)
        .await
        .expect("put");
    let before = on.store.document(kind, "a").await.expect("read").expect("there");
    let (generation, revision) = on
        .store
        .raise_generation(kind, "a")
        .await
        .expect("raise")
        .expect("there");
    assert!(generation > before.generation);
    assert!(revision > 0);
    // The document is as it was, so an update that is under way is not lost.
    let after = on.store.document(kind, "a").await.expect("read").expect("there");
    assert_eq!(
        (after.body, after.version, after.generation),
        (before.body, before.version, generation)
    );
    on.store
        .put_document(kind, "a", b"2".to_vec(), Expect::Any)
        .await
        .expect("put");
    assert_eq!(
        on.store
            .document(kind, "a")
            .await
            .expect("read")
            .expect("there")
            .generation,
        generation
    );
}

async fn ids_are_just_values(on: Harness) {
    let ids = [
        "{",
        "}",
        "{}",
        "a}b",
        ":",
        "*",
        "\r\n",
        "\0",
        "application",
        "tokenbind:{user}",
        "\u{fe0f}",
        "NONE",
        " ",
    ];
    for id in ids {
        on.store
            .put_document(DocumentKind::User, id, id.into(), Expect::Absent)
            .await
            .expect("put");
    }
    for id in ids {
        let document = on
            .store
            .document(DocumentKind::User, id)
            .await
            .expect("read")
            .expect("there");
        assert_eq!(document.body, id.as_bytes(), "{id:?}");
    }
}

/// What a store has lost although nobody deleted it is told, page by page; what was deleted is not.
#[tokio::test]
async fn a_lost_document_is_told_from_a_deleted_one() {
    let on = Harness::redis().await;
    let kind = DocumentKind::Application;
    let put = async |id: &str| {
        let put = on.store.put_document(kind, id, b"x".to_vec(), Expect::Absent).await;
        assert!(matches!(put.expect("put"), Put::Stored { .. }));
    };
    let lost = async || {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = on.store.lost_documents(kind, after.as_deref(), 2).await.expect("look");
            ids.extend(page.ids);
            after = page.next;
            if after.is_none() {
                return ids;
            }
        }
    };
    for id in ["a", "b"] {
        put(id).await;
    }
    let mut connection = on.server().connection();
    let keys = |connection: &mut ::redis::Connection| -> Vec<Vec<u8>> {
        let keys: Vec<Vec<u8>> = ::redis::cmd("KEYS").arg("*").query(connection).expect("keys");
        keys.into_iter().filter(|key| !key.ends_with(b"}")).collect()
    };
    let others = keys(&mut connection);
    for id in ["c", "d", "e"] {
        put(id).await;
    }
    let delete = on.store.delete_document(kind, "b", Expect::Any, 60_000).await;
    assert_eq!(delete.expect("delete"), Delete::Deleted);
    assert_eq!(lost().await, [""; 0]);
    for key in keys(&mut connection).iter().filter(|key| !others.contains(key)) {
        ::redis::cmd("DEL").arg(key).exec(&mut connection).expect("lose");
    }
    assert_eq!(lost().await, ["c", "d", "e"]);
    put("d").await;
    assert_eq!(lost().await, ["c", "e"]);
}
