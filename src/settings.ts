import type { OwnRule } from "./core/rules/own_rule.ts";
import { type Setting, threshold } from "./setting.ts";

/**
 * Every setting: declared once, here, and from this table read from YAML and the environment,
 * checked by `config.ts`, and documented by `gridwatch config`.
 */
export const SETTINGS = {
  expected_interval_minutes: {
    type: "interval",
    default: "auto",
    min: 0.25,
    max: 1440,
    judges: true,
    doc: "Minutes between two readings of a meter, or auto: learned from its readings.",
  },
  grace_period_seconds: {
    type: "number",
    default: 900,
    min: 0,
    max: 604_800,
    judges: true,
    doc: "A slot is missing once the watermark has passed it by this much.",
  },
  allowed_lateness_seconds: {
    type: "number",
    default: 3600,
    min: 0,
    max: 2_592_000,
    judges: true,
    doc: "A reading further behind the watermark than this is too late.",
  },
  out_of_orderness_seconds: {
    type: "number",
    default: 0,
    min: 0,
    max: 2_592_000,
    judges: true,
    doc: "The watermark stands this far behind the latest event time.",
  },
  watermark_scope: {
    type: "choice",
    default: "partition",
    choices: ["partition", "meter"],
    judges: true,
    doc: "Whose clock judges lateness: the partition's, or each meter's own.",
  },
  time_tolerance_seconds: {
    type: "tolerance",
    default: "auto",
    min: 0,
    max: 86_400,
    judges: true,
    doc: "Further off its slot than this a reading is flagged TIME_SHIFT; auto: interval / 10.",
  },
  state_ttl_days: {
    type: "number",
    default: 7,
    min: 0.01,
    max: 3650,
    judges: true,
    doc: "A meter without a reading for this long is silent; its open gap is EXPIRED.",
  },
  forget_after_days: {
    type: "number",
    default: 400,
    min: 0.01,
    max: 3650,
    judges: true,
    doc: "A meter without a reading for this long is forgotten; its next one begins anew.",
  },
  meters_max: {
    type: "integer",
    default: 2_000_000,
    min: 1,
    max: 100_000_000,
    judges: true,
    doc: "Meters that a partition knows at most; those beyond are TOO_MANY_METERS.",
  },
  revisions: {
    type: "choice",
    default: "first",
    choices: ["first", "last"],
    judges: true,
    doc: "Which of two values for one interval stands; last: the later one, flagged REVISES.",
  },
  timezone: {
    type: "timezone",
    default: "UTC",
    judges: true,
    doc: "IANA zone of timestamps written without an offset.",
  },
  "validation.min_timestamp": {
    type: "time",
    default: "2005-01-01",
    judges: true,
    doc: "A reading from before this is rejected as TOO_OLD: a clock that was reset.",
  },
  "validation.max_kwh": {
    type: "number",
    default: 100_000,
    min: 0,
    max: 1e12,
    judges: true,
    doc: "A larger value is rejected as TOO_LARGE.",
  },
  "validation.max_future_seconds": {
    type: "number",
    default: 3600,
    min: 0,
    max: 31_536_000,
    judges: true,
    doc: "A reading further ahead of its arrival than this is rejected as FUTURE.",
  },
  "validation.negative": {
    type: "choice",
    default: "reject",
    choices: ["reject", "flag"],
    judges: true,
    doc: "What becomes of a negative value; flag: accepted as NEGATIVE (export meters).",
  },
  "validation.max_kw": threshold(48, "CAPACITY: more power than this no connection carries, kW."),
  "validation.spike_times": threshold(1.5, "SPIKE: so many times the highest of 28 days."),
  "validation.high_day_times": threshold(5, "HIGH_DAY: a day of more than so many times the mean."),
  "validation.low_day_times": threshold(5, "LOW_DAY: a day of less than the mean divided by this."),
  "validation.unit_scale_times": threshold(
    100,
    "UNIT_SCALE: a day so far from the mean either way.",
  ),
  "validation.zero_run_hours": threshold(12, "ZERO_RUN: hours of zeros where they are rare."),
  "validation.stuck_hours": threshold(8, "STUCK: one value, which is not 0, for so many hours."),
  "validation.straight_line_readings": threshold(6, "STRAIGHT_LINE: readings in equal steps."),
  "validation.repeated_day_changes": threshold(12, "REPEATED_DAY: changes of value in such a day."),
  "validation.raw_bytes_max": {
    type: "integer",
    default: 65_536,
    min: 1024,
    max: 150_000, // written as JSON six times as long, at most: a message is of 1 MiB
    judges: true,
    doc: "Of a rejected record at most this many bytes are kept.",
  },
  commit_records_max: {
    type: "integer",
    default: 32_768,
    min: 1,
    max: 1_000_000,
    doc: "Records folded between two commits, at most; of files with many meters 8 times as many.",
  },
  commit_interval_ms: {
    type: "integer",
    default: 1000,
    min: 1,
    max: 600_000,
    doc: "Time between two commits, at most; 5 times that while far behind, or of many partitions.",
  },
  idle_timeout_seconds: {
    type: "number",
    default: 60,
    min: 0,
    max: 86_400,
    doc: "A live partition without a record for this long gets a tick; 0: never.",
  },
  "replay.sort_memory_mib": {
    type: "integer",
    default: 64,
    min: 1,
    max: 8192,
    doc: "Memory for sorting a file that is not in time order; the rest goes to disk.",
  },
  "replay.tick_seconds": {
    type: "integer",
    default: 60,
    min: 1,
    max: 3600,
    doc: "Event time between two ticks of a replay.",
  },
  "kafka.brokers": {
    type: "text",
    default: "localhost:9092",
    doc: "host:port of any brokers of the cluster, with commas between.",
  },
  "kafka.topic_prefix": {
    type: "text",
    default: "smartmeter_",
    doc: "What the topics' names begin with.",
  },
  "kafka.group": {
    type: "text",
    default: "gridwatch",
    doc: "Consumer group of the processors, and the start of their transactional ids.",
  },
  "kafka.compression": {
    type: "choice",
    default: "gzip",
    choices: ["none", "gzip", "snappy", "lz4", "zstd"],
    doc: "Compression of what is written; stock kafkajs reads none and gzip alone.",
  },
  "kafka.session_timeout_ms": {
    type: "integer",
    default: 10_000,
    min: 1000,
    max: 600_000,
    doc: "A processor silent for this long loses its partitions to the others.",
  },
  "kafka.transaction_timeout_ms": {
    type: "integer",
    default: 60_000,
    min: 1000,
    max: 900_000,
    doc: "The broker aborts a transaction of this age.",
  },
  "kafka.fetch_bytes_max": {
    type: "integer",
    default: 16_777_216,
    min: 65_536,
    max: 1_073_741_824,
    doc: "Bytes fetched ahead and not yet folded, all partitions together.",
  },
  "kafka.tls": {
    type: "choice",
    default: "false",
    choices: ["false", "true"],
    doc: "Whether the connection is encrypted.",
  },
  "kafka.tls_ca_file": { type: "text", default: "", doc: "The authority's certificates, PEM." },
  "kafka.tls_cert_file": { type: "text", default: "", doc: "The client's own certificate, PEM." },
  "kafka.tls_key_file": {
    type: "text",
    default: "",
    doc: "The key of the client's certificate, PEM.",
  },
  "kafka.sasl_mechanism": {
    type: "choice",
    default: "none",
    choices: ["none", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"],
    doc: "SASL mechanism by which the client signs in.",
  },
  "kafka.sasl_username": { type: "text", default: "", doc: "SASL user name." },
  "kafka.sasl_password": {
    type: "secret",
    default: "",
    doc: "SASL password; better in the environment, or in a file.",
  },
  "kafka.sasl_password_file": {
    type: "text",
    default: "",
    doc: "A file that holds the SASL password.",
  },
  "kafka.sasl_token_file": {
    type: "text",
    default: "",
    doc: "A file that holds the OAUTHBEARER token, read anew at each connection.",
  },
  "database.url": {
    type: "secret",
    default: "",
    doc: "postgres://user:password@host/database of the sink, migrate and serve --database.",
  },
  "database.password_file": {
    type: "text",
    default: "",
    doc: "A file that holds the database's password, for a URL without one.",
  },
  "database.tls_ca_file": {
    type: "text",
    default: "",
    doc: "The authority's certificates, PEM, that the database's is checked by.",
  },
  "sink.connections": {
    type: "integer",
    default: 2,
    min: 1,
    max: 32,
    doc: "Connections that a sink writes on.",
  },
  "sink.commit_records_max": {
    type: "integer",
    default: 20_000,
    min: 1,
    max: 1_000_000,
    doc: "Messages written in one transaction, at most.",
  },
  "sink.commit_interval_ms": {
    type: "integer",
    default: 1000,
    min: 1,
    max: 600_000,
    doc: "Time between two transactions of a sink while messages come slowly, at most.",
  },
  "health.stalled_seconds": {
    type: "number",
    default: 45,
    min: 1,
    max: 86_400,
    doc: "A partition that has work, and whose figures have not moved for so long, is stuck.",
  },
  "timescale.chunk_days": {
    type: "number",
    default: 7,
    min: 0.04,
    max: 365,
    doc: "Chunk interval of the hypertables: 7 up to 10,000 half-hourly meters, 1 from 100,000.",
  },
  "timescale.columnstore_after_days": {
    type: "number",
    default: 14,
    min: 0,
    max: 3650,
    doc: "Chunks older than this are compressed; 0: never.",
  },
  "timescale.retention_days": {
    type: "number",
    default: 0,
    min: 0,
    max: 36_500,
    doc: "Readings older than this are dropped; 0: never.",
  },
  "kpi.completeness_target_percent": {
    type: "number",
    default: 99.5,
    min: 0,
    max: 99.9999,
    doc: "Expected slots that should be valid; what is left to 100 is the error budget.",
  },
  "grafana.url": {
    type: "text",
    default: "",
    doc: "http://… of the Grafana that doctor looks at.",
  },
  "grafana.user": { type: "text", default: "", doc: "Grafana user that `doctor` signs in as." },
  "grafana.password": { type: "secret", default: "", doc: "Password of the Grafana user." },
  "grafana.token": {
    type: "secret",
    default: "",
    doc: "Token of a Grafana service account, instead of user and password.",
  },
  "api.host": {
    type: "text",
    default: "127.0.0.1",
    doc: "Address that the status page listens on.",
  },
  "api.hosts": {
    type: "text",
    default: "",
    doc: "Names that the status page is asked by, with commas between; localhost always is one.",
  },
  data_directory: {
    type: "text",
    default: ".gridwatch",
    doc: "Where the embedded store keeps its files.",
  },
  retention_days: {
    type: "integer",
    default: 0,
    min: 0,
    max: 36_500,
    doc: "Days before the watermark that the embedded store keeps readings; 0: all of them.",
  },
} as const satisfies Record<string, Setting>;

/** The dotted name of a setting. */
export type Key = keyof typeof SETTINGS;
type ValueOf<S extends Setting> = S extends { type: "number" | "integer" } ? number
  : S extends { type: "interval" | "tolerance" } ? number | "auto"
  : S extends { type: "threshold" } ? number | "off"
  : S extends { choices: readonly (infer C)[] } ? C
  : string;

/**
 * All settings by their dotted names, intervals known per meter, in milliseconds, and which settings
 * a person gave: a default says nothing about what is in use.
 */
export type Config =
  & { readonly [K in Key]: ValueOf<(typeof SETTINGS)[K]> }
  & {
    readonly meters: ReadonlyMap<string, number>;
    readonly given: ReadonlySet<Key>;
    /** Files of the user's own rules, and the rules once they are loaded. */
    readonly ruleFiles: readonly string[];
    readonly ownRules: readonly OwnRule[];
  };
