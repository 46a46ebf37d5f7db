//! The documents of an overlay, and questions to them.

use serde_json::Value;

/// All documents that would be applied.
pub(crate) struct Cluster(Vec<Value>);

/// Selects what has the labels of `matchLabels` and satisfies `matchExpressions` (`In` alone is used here).
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let known = ["matchLabels", "matchExpressions"];
    assert!(entries(selector).all(|(key, _)| known.contains(&key)), "{selector}");
    let exact = entries(&selector["matchLabels"]).all(|(key, value)| labels[key] == *value);
    exact
        && items(&selector["matchExpressions"]).all(|expression| {
            assert_eq!(expression["operator"], "In", "{expression}");
            let label = &labels[expression["key"].as_str().unwrap()];
            items(&expression["values"]).any(|value| value == label)
        })
}

pub(crate) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    assert!(list.is_array() || list.is_null(), "a list: {list}");
    list.as_array().into_iter().flatten()
}

pub(crate) fn entries(map: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let map = map.as_object();
    map.into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

pub(crate) fn name(document: &Value) -> &str {
    document["metadata"]["name"].as_str().unwrap()
}

impl Cluster {
    pub(crate) fn new(documents: Vec<Value>) -> Self {
        assert!(!documents.is_empty());
        Self(documents)
    }

    pub(crate) fn documents(&self) -> &[Value] {
        &self.0
    }

    pub(crate) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |document| document["kind"] == kind)
    }

    pub(crate) fn find(&self, kind: &str, wanted: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|document| document["kind"] == kind && name(document) == wanted)
    }

    pub(crate) fn get(&self, kind: &str, name: &str) -> &Value {
        self.find(kind, name).unwrap_or_else(|| panic!("{kind} {name}"))
    }

    /// What runs pods.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = &Value> {
        self.0
            .iter()
            .filter(|document| document["spec"].get("template").is_some())
    }

    /// The services of this project among them.
    pub(crate) fn ours(&self) -> [&Value; 2] {
        ["issuer", "validator"].map(|name| self.get("Deployment", name))
    }
}

/// The one container of a workload.
pub(crate) fn container(workload: &Value) -> &Value {
    let pod = &workload["spec"]["template"]["spec"];
    assert!(pod.get("initContainers").is_none() && pod["containers"].as_array().unwrap().len() == 1);
    &pod["containers"][0]
}

/// The value of a variable that is written down.
pub(crate) fn variable<'a>(container: &'a Value, wanted: &str) -> Option<&'a str> {
    let found = items(&container["env"]).find(|variable| variable["name"] == wanted)?;
    found["value"].as_str()
}

/// The number of the port that a name or a number says.
pub(crate) fn port(container: &Value, wanted: &Value) -> Option<u64> {
    let found = items(&container["ports"]).find(|port| port["name"] == *wanted || port["containerPort"] == *wanted)?;
    found["containerPort"].as_u64()
}
