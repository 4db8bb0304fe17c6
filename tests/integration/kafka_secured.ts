/** What a listener with TLS and SASL takes: a certificate made for the test, and users. */

export const USER = "alice";
export const PASSWORD = "alices-secret";

const STORE_PASSWORD = "changeit";

/** For the storage tool: SCRAM users are kept in the cluster's metadata. */
export const SCRAM_USERS = ["SCRAM-SHA-256", "SCRAM-SHA-512"].map((mechanism) =>
  `${mechanism}=[name=${USER},password=${PASSWORD}]`
);

/** Makes a key and a certificate for 127.0.0.1 in the folder; the certificate, PEM. */
export async function makeCertificate(folder: string): Promise<string> {
  const store = ["-keystore", `${folder}/broker.p12`, "-storepass", STORE_PASSWORD];
  await keytool([
    ...["-genkeypair", "-alias", "broker", "-keyalg", "EC", "-groupname", "secp256r1"],
    ...["-dname", "CN=localhost", "-ext", "san=ip:127.0.0.1,dns:localhost"],
    ...["-validity", "30", "-storetype", "PKCS12", ...store],
  ]);
  return await keytool(["-exportcert", "-rfc", "-alias", "broker", ...store]);
}

/** Lines of server.properties for the listener SECURED. OAUTHBEARER takes unsigned tokens. */
export function securedProperties(folder: string): Record<string, string> {
  const login = "org.apache.kafka.common.security";
  const at = "listener.name.secured";
  return {
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL",
    "ssl.keystore.type": "PKCS12",
    "ssl.keystore.location": `${folder}/broker.p12`,
    "ssl.keystore.password": STORE_PASSWORD,
    "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
    [`${at}.plain.sasl.jaas.config`]:
      `${login}.plain.PlainLoginModule required user_${USER}="${PASSWORD}";`,
    [`${at}.scram-sha-256.sasl.jaas.config`]: `${login}.scram.ScramLoginModule required;`,
    [`${at}.scram-sha-512.sasl.jaas.config`]: `${login}.scram.ScramLoginModule required;`,
    [`${at}.oauthbearer.sasl.jaas.config`]:
      `${login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="x";`,
  };
}

/** A token without a signature, as the broker above takes it. */
export function unsignedToken(lifetimeSeconds: number): string {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: unknown) =>
    btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return `${part({ alg: "none" })}.${part({ sub: USER, iat: now, exp: now + lifetimeSeconds })}.`;
}

async function keytool(args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("keytool", {
    args,
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`keytool: ${decoder.decode(stdout)}${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}
