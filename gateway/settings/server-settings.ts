// Settings: where the server listens and keeps things, who may call it, which model it brings.

import { claim, oneOf, readDefaultModel, secret, text, whole } from './setting-kinds.ts'
import { DEFAULT_PRECISION, PRECISIONS } from '../../models/manifest.ts'
import { readSecretKeys } from '../secrets.ts'
import type { Setting } from './setting-kinds.ts'
import type { Precision } from '../../models/manifest.ts'

export const SERVER_SETTINGS = {
  host: text({
    name: 'HEADRACE_HOST',
    default: '127.0.0.1',
    about: 'address that the gateway listens on; `0.0.0.0` is every one',
    allowed: 'a host name or an IP address',
    pattern: /^[A-Za-z0-9.:_-]+$/,
  }),
  port: whole({
    name: 'HEADRACE_PORT',
    default: '8080',
    about: 'port that the gateway listens on; 0 takes a free one',
    min: 0,
    max: 65_535,
  }),
  dataDir: text({
    name: 'HEADRACE_DATA_DIR',
    default: './data',
    about: 'folder of everything that is kept: database, models, keys',
    allowed: 'the path of a folder',
    pattern: /^[^\0]+$/,
  }),
  adminKey: secret({
    name: 'HEADRACE_ADMIN_KEY',
    default: null,
    about:
      'key that may call everything; without it one is made and kept in `<data dir>/admin-key`',
  }),
  serverUrl: text({
    name: 'HEADRACE_URL',
    default: null,
    about:
      'server that commands such as `headrace deploy` ask; without it the one that runs on the data folder',
    allowed: 'an address that begins with https:// or http://',
    pattern: /^https?:\/\/\S+$/,
  }),
  apiKey: secret({
    name: 'HEADRACE_API_KEY',
    default: null,
    about: 'key of the role admin that such commands use; without it the admin key',
  }),
  authGraceS: whole({
    name: 'HEADRACE_AUTH_GRACE_S',
    default: '3600',
    about: 'seconds that known callers go on while PostgreSQL, or the issuer of tokens, is away',
    min: 0,
    max: 31_536_000,
  }),
  oidcIssuer: text({
    name: 'HEADRACE_OIDC_ISSUER',
    default: null,
    about: 'OIDC issuer whose tokens are taken beside API keys',
    allowed: 'an address that begins with https:// (http:// on loopback), as the tokens have it',
    pattern: /^https?:\/\/\S+$/,
  }),
  oidcAudience: text({
    name: 'HEADRACE_OIDC_AUDIENCE',
    default: null,
    about: 'audience that tokens have to be for; needed with an issuer',
    allowed: 'a text without spaces',
    pattern: /^\S+$/,
  }),
  oidcJwksUrl: text({
    name: 'HEADRACE_OIDC_JWKS_URL',
    default: null,
    about: "address of the issuer's keys; without it what the issuer's discovery document says",
    allowed: 'an address that begins with https:// (http:// on loopback)',
    pattern: /^https?:\/\/\S+$/,
  }),
  oidcNameClaim: claim(
    'HEADRACE_OIDC_NAME_CLAIM',
    'sub',
    "claim with the caller's name in rows and the audit log; one that its holder can't edit",
  ),
  oidcProjectClaim: claim(
    'HEADRACE_OIDC_PROJECT_CLAIM',
    'project',
    "claim with the project's id or name; `a.b` is `b` within `a`",
  ),
  oidcRoleClaim: claim(
    'HEADRACE_OIDC_ROLE_CLAIM',
    'role',
    'claim with the role, or a list that it is in; without it `caller`',
  ),
  oidcModelsClaim: claim(
    'HEADRACE_OIDC_MODELS_CLAIM',
    'models',
    'claim with the models that may be asked, `*` for any characters; without it all',
  ),
  databaseUrl: text({
    name: 'DATABASE_URL',
    default: null,
    about: 'PostgreSQL to use instead of the embedded one',
    allowed: 'postgresql://user:password@host:port/database',
    pattern: /^postgres(ql)?:\/\/\S+$/,
    isSecret: true,
  }),
  configFile: text({
    name: 'HEADRACE_CONFIG',
    default: null,
    about:
      'file that declares upstreams and models; without it `headrace.yaml` of the working folder, or else of the data folder',
    allowed: 'the path of a file',
    pattern: /^[^\0]+$/,
  }),
  secretKeys: {
    name: 'HEADRACE_SECRET_KEY',
    default: null,
    about:
      "key that upstreams' secrets are stored under; older ones behind it, with commas, still open what they sealed",
    allowed: '32 bytes as base64 or hex, or several with commas between them',
    isSecret: true,
    read: readSecretKeys,
  } satisfies Setting<Buffer[], null>,
  defaultModel: {
    name: 'HEADRACE_DEFAULT_MODEL',
    default: 'smollm2-135m-instruct',
    about: 'model that is brought here at the first start and loaded at every one; or `none`',
    allowed: "a model's name, a source as `models import` takes it, or none",
    read: readDefaultModel,
  } satisfies Setting<string | null, string>,
  precision: oneOf<Precision>({
    name: 'HEADRACE_PRECISION',
    default: DEFAULT_PRECISION,
    about: 'precision of the weights of models that are imported',
    values: PRECISIONS,
  }),
}
