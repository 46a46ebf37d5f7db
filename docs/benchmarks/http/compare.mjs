// Measures servers in turn, round by round, with the same load, and writes every round to data.json. Started by `run`.
import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

const { TOKENBIND_BINARIES: binaries, SERVER_CORE, REDIS_CORE, LOAD_CORES, REDIS_SERVER } = process.env;
const [rounds, seconds, connections] = [Number(process.env.ROUNDS), Number(process.env.SECONDS_EACH), Number(process.env.CONNECTIONS)];
const here = import.meta.dirname;
const folder = mkdtempSync(join(tmpdir(), "tokenbind-http-"));
const children = [];
const secret = `tbs_${randomBytes(32).toString("base64url")}`;
const basic = (id) => `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}`;

process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

// Starts a program on a core, and answers what `find` makes of a line that it writes. It writes to a file: a pipe that nobody
// reads while the load runs would hold it up.
async function start(core, program, args, find) {
  const log = join(folder, `${children.length}.log`);
  const file = openSync(log, "w");
  const env = { PATH: process.env.PATH, NODE_ENV: "production" };
  const child = spawn("taskset", ["-c", core, program, ...args], { stdio: ["ignore", file, file], env });
  children.push(child);
  for (let tries = 0; tries < 1000 && child.exitCode === null; tries += 1) {
    const found = readFileSync(log, "utf8").split("\n").slice(0, -1).map(find).find(Boolean);
    if (found) return { pid: child.pid, found };
    await setTimeout(10);
  }
  throw new Error(`${program} does not start: ${readFileSync(log, "utf8")}`);
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const catalog = () => {
  const digest = createHash("sha256").update(secret).digest("hex");
  const application = (id, format) =>
    `  - {client_id: ${id}, token_format: ${format}, binding_type: client-request, grants: [client_credentials],` +
    ` scopes: [orders.read], audiences: [bench-api], secret_sha256: [${digest}]}\n`;
  return (
    `version: 1\napplications:\n${application("bench-opaque", "opaque")}${application("bench-jwt", "jwt")}` +
    `resources:\n  - {resource_id: bench-api, secret_sha256: [${digest}]}\n`
  );
};

const ours = (name, issuer, validator) => {
  const token = (id) => ({ ...issuer, url: `http://${issuer.found}/oauth2/token`, id, audience: "audience=bench-api" });
  return { name, token, introspection: { ...validator, url: `http://${validator.found}/oauth2/introspect` } };
};

// As it is deployed: an issuer and a validator, and Redis on a core of its own.
async function deployed(file) {
  const port = await freePort();
  const redis = ["--port", port, "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"];
  await start(REDIS_CORE, REDIS_SERVER, redis, (line) => line.includes("Ready to accept connections"));
  const common = ["--listen", "127.0.0.1:0", "--redis-url", `redis://127.0.0.1:${port}`, "--log-format", "json"];
  const address = (line) => {
    const said = JSON.parse(line);
    const fields = said.fields ?? said;
    return fields.message === "serving" ? fields.address : undefined;
  };
  const issuer = [...common, "--generate-keys", "--catalog", file];
  const [a, b] = [
    await start(SERVER_CORE, join(binaries, "issuer"), issuer, address),
    await start(SERVER_CORE, join(binaries, "validator"), common, address),
  ];
  return ours("tokenbind", a, b);
}

// The development stack: everything in one process on one core, with the index in it.
async function embedded(file) {
  const listen = ["--issuer-listen", "127.0.0.1:0", "--validator-listen", "127.0.0.1:0"];
  const args = ["dev", "--json", ...listen, "--catalog", file];
  const addresses = (line) => (line.startsWith('{"') && JSON.parse(line).issuer ? JSON.parse(line) : undefined);
  const { pid, found } = await start(SERVER_CORE, join(binaries, "tokenbind"), args, addresses);
  return ours("tokenbind dev", { pid, found: found.issuer }, { pid, found: found.validator });
}

async function theirs() {
  const address = (line) => line.match(/^127\.0\.0\.1:\d+$/)?.[0];
  const args = [join(here, "provider.mjs"), secret];
  const { pid, found } = await start(SERVER_CORE, process.execPath, args, address);
  const resource = { "bench-opaque": "urn:opaque", "bench-jwt": "urn:jwt" };
  const token = (id) => ({ pid, url: `http://${found}/token`, id, audience: `resource=${resource[id]}` });
  return { name: "oidc-provider", token, introspection: { pid, url: `http://${found}/token/introspection` } };
}

// Processor time of a process in seconds, its threads included.
function used(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function ask(url, id, form) {
  // A connection that is kept would be closed by the time the load is over, and nothing here would have noticed.
  const headers = { authorization: basic(id), "content-type": "application/x-www-form-urlencoded", connection: "close" };
  const response = await fetch(url, { method: "POST", headers, body: form });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${url} ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

function load({ pid, url, id, form }) {
  const before = used(pid);
  const wrk = ["wrk", "-t2", `-c${connections}`, `-d${seconds}s`, "-s", join(here, "request.lua"), url, "--", basic(id), form];
  const printed = execFileSync("taskset", ["-c", LOAD_CORES, ...wrk], { encoding: "utf8" });
  const result = JSON.parse(printed.match(/^RESULT (.*)$/m)[1]);
  const cpu = used(pid) - before;
  const { requests, microseconds, ...rest } = result;
  return { per_second: Math.round(requests / (microseconds / 1e6)), per_cpu_second: Math.round(requests / cpu), ...rest };
}

const issuing = (server, id) => {
  const target = server.token(id);
  return { ...target, form: `grant_type=client_credentials&scope=orders.read&${target.audience}&tokenBindingId={n}` };
};

// What is measured; where a server has no such thing, `undefined`.
const workloads = {
  "issue opaque": async (server) => issuing(server, "bench-opaque"),
  "issue jwt": async (server) => issuing(server, "bench-jwt"),
  "introspect opaque": async (server) => introspecting(server, "bench-opaque"),
  // oidc-provider does not keep JWTs, and introspects none.
  "introspect jwt": async (server) => (server.name === "oidc-provider" ? undefined : introspecting(server, "bench-jwt")),
};

async function introspecting(server, id) {
  const { url, form } = issuing(server, id);
  const { access_token } = await ask(url, id, form.replace("{n}", "introspected"));
  const target = { ...server.introspection, id: "bench-api", form: `token=${access_token}` };
  const answer = await ask(target.url, target.id, target.form);
  if (answer.active !== true || answer.client_id !== id) throw new Error(JSON.stringify(answer));
  return target;
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const version = (file) => JSON.parse(readFileSync(file, "utf8")).version;

const file = join(folder, "catalog.yaml");
writeFileSync(file, catalog());
const servers = [await deployed(file), await embedded(file), await theirs()];
const results = {};
for (const [workload, prepare] of Object.entries(workloads)) {
  const targets = [];
  for (const server of servers) {
    const target = await prepare(server);
    // One whole answer is looked at before the load begins.
    if (target) await ask(target.url, target.id, target.form.replace("{n}", "first"));
    if (target) targets.push([server.name, target]);
  }
  const measured = Object.fromEntries(targets.map(([name]) => [name, []]));
  for (const [, target] of targets) load(target);
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, target] of targets) measured[name].push(load(target));
  }
  results[workload] = measured;
}

const report = {
  machine: { processor: cpus()[0].model, cores: cpus().length, node: process.version },
  oidc_provider: version(join(here, "node_modules/oidc-provider/package.json")),
  load: { rounds, seconds, connections, server_core: SERVER_CORE, redis_core: REDIS_CORE, load_cores: LOAD_CORES },
  results,
};
writeFileSync(join(here, "data.json"), `${JSON.stringify(report, null, 1)}\n`);

const row = (...cells) => console.log(`| ${cells.join(" | ")} |`);
row("workload", "server", "calls/s", "calls/CPU-s", "p50 ms", "p99 ms", "errors", "ratio", "CPU ratio");
for (const [workload, measured] of Object.entries(results)) {
  const theirs = measured["oidc-provider"];
  for (const [name, all] of Object.entries(measured)) {
    const of = (figure) => median(all.map((one) => one[figure]));
    const errors = all.reduce((sum, one) => sum + one.errors, 0);
    const ms = (figure) => (of(figure) / 1000).toFixed(1);
    // Of the same round, so that a machine that is slow for a while is slow for both.
    const ratio = (figure) => median(all.map((one, round) => one[figure] / theirs[round][figure])).toFixed(1);
    const ratios = theirs && theirs !== all ? [ratio("per_second"), ratio("per_cpu_second")] : ["", ""];
    row(workload, name, of("per_second"), of("per_cpu_second"), ms("p50_us"), ms("p99_us"), errors, ...ratios);
  }
}
process.exit(0);
