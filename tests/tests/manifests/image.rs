//! The Dockerfile and the manifests agree.

use crate::cluster::{container, items, name};
use crate::render::{overlay, repository};

fn dockerfile() -> String {
    std::fs::read_to_string(repository().join("Dockerfile")).unwrap()
}

/// The lines of a stage.
fn stage<'a>(dockerfile: &'a str, name: &str) -> Vec<&'a str> {
    let head = format!(" AS {name}");
    let mut lines = dockerfile
        .lines()
        .skip_while(|line| !(line.starts_with("FROM ") && line.ends_with(&head)));
    let first = lines.next().unwrap_or_else(|| panic!("no stage {name}"));
    std::iter::once(first)
        .chain(lines.take_while(|line| !line.starts_with("FROM ")))
        .collect()
}

#[test]
fn an_image_holds_the_program_and_runs_as_nobody() {
    let dockerfile = dockerfile();
    let base = stage(&dockerfile, "base");
    assert_eq!(base[0], "FROM scratch AS base");
    assert!(base.contains(&"USER 65532:65532"));
    for (target, program) in [("issuer", "issuer"), ("validator", "validator"), ("cli", "tokenbind")] {
        let lines = stage(&dockerfile, target);
        assert_eq!(lines[0], format!("FROM base AS {target}"));
        assert!(
            lines.contains(&format!("COPY --from=files /{program} /{program}").as_str()),
            "{lines:?}"
        );
        assert!(
            lines.contains(&format!("ENTRYPOINT [\"/{program}\"]").as_str()),
            "{lines:?}"
        );
        assert!(
            !lines
                .iter()
                .any(|line| line.starts_with("USER") || line.starts_with("RUN")),
            "{lines:?}"
        );
    }
    let build = stage(&dockerfile, "build");
    assert!(build.contains(&"RUN scripts/static \"$TARGETARCH\" /out"), "{build:?}");
    let script = std::fs::read_to_string(repository().join("scripts/static")).unwrap();
    assert!(
        script.contains("--locked") && script.contains("+crt-static"),
        "{script}"
    );
    // What is not in the context is not in the builder.
    let context = std::fs::read_to_string(repository().join(".dockerignore")).unwrap();
    assert!(context.lines().any(|line| line == "!scripts/static"), "{context}");
}

#[test]
fn the_manifests_run_these_images() {
    let (dockerfile, (_, cluster)) = (dockerfile(), overlay("development"));
    for workload in cluster.ours() {
        let (who, container) = (name(workload), container(workload));
        assert_eq!(container["image"], format!("tokenbind/{who}:dev"));
        let ports: Vec<_> = items(&container["ports"])
            .map(|port| port["containerPort"].to_string())
            .collect();
        let exposed = format!("EXPOSE {}", ports.join(" "));
        assert!(stage(&dockerfile, who).contains(&exposed.as_str()), "{exposed}");
        let user = &workload["spec"]["template"]["spec"]["securityContext"]["runAsUser"];
        assert!(stage(&dockerfile, "base").contains(&format!("USER {user}:{user}").as_str()));
    }
}

/// Production names the version that the sources have.
#[test]
fn the_tags_are_the_version() {
    let (_, cluster) = overlay("production");
    for workload in cluster.ours() {
        let image = container(workload)["image"].as_str().unwrap();
        assert!(
            image.ends_with(&format!("tokenbind/{}:{}", name(workload), env!("CARGO_PKG_VERSION"))),
            "{image}"
        );
    }
}
