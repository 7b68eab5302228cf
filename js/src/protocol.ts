/** What the kernel and the front end say to each other: docs/decisions/0011-front-end.md. */

export const PROTOCOL = 1;
export const COMM_TARGET = 'jupyter_federation';
export const REQUEST = 'federation_request';

const TEXTS = [
  'profile',
  'subject',
  'identity_id',
  'role_arn',
  'account_id',
  'region',
  'access_key_suffix',
  'last_error'
] as const;
const FLAGS = ['refreshing', 'interactive', 'is_federated'] as const;
const TIMES = ['sign_in_expires_at', 'credentials_expire_at', 'next_try_at'] as const;

/** `SessionStatus`, as far as a screen needs it; times are epoch milliseconds of the kernel's clock. */
export interface Status
  extends Readonly<Record<(typeof TEXTS)[number], string | null>>,
    Readonly<Record<(typeof FLAGS)[number], boolean>>,
    Readonly<Record<(typeof TIMES)[number], number | null>> {
  readonly credentials: 'none' | 'valid' | 'expired';
  readonly sign_in: 'ok' | 'needs_you' | 'not_renewable' | 'none';
  readonly way_back: string;
  readonly beside: readonly string[];
}

/** An invitation to sign in; `address` is an http(s) address or null. */
export interface Offer {
  readonly issuer: string;
  readonly steps: readonly string[];
  readonly address: string | null;
  readonly code: string | null;
  readonly until: number | null;
}

/** A sign-in that is open, or one that failed (`error`) and was not dismissed. */
export interface SignIn {
  readonly profile: string | null;
  readonly waiting: string | null;
  readonly question: string | null;
  readonly offer: Offer | null;
  readonly error: string | null;
}

export interface State {
  readonly protocol: number;
  readonly version: string;
  /** Rises from one state of a kernel to the next. */
  readonly number: number;
  readonly now: number;
  readonly panel: string | null;
  readonly status: Status;
  readonly profiles: readonly string[];
  readonly signIn: SignIn | null;
}

export type Request =
  | { readonly action: 'state' | 'refresh' | 'cancel' }
  | { readonly action: 'clear'; readonly sign_out: boolean }
  | { readonly action: 'sign_in'; readonly profile: string | null }
  | { readonly action: 'answer'; readonly text: string };

export interface Reply {
  /** Why nothing was done, or null. */
  readonly error: string | null;
  readonly state: State | null;
}

/**
 * The state in a message of a kernel, or null where it is none.
 *
 * A kernel is code of other people's: each field is taken if it has the type that it should have, and is absent
 * otherwise.  That serves a kernel with another protocol too: its profile and times are shown where they are found.
 */
export function parseState(data: unknown): State | null {
  const message = record(data);
  const status = record(message?.status);
  if (!message || !status || !Number.isInteger(message.protocol)) {
    return null;
  }
  return {
    protocol: message.protocol as number,
    version: text(message.version) ?? '?',
    number: time(message.number) ?? 0,
    now: time(message.now) ?? Date.now(),
    panel: text(message.panel),
    status: parseStatus(status),
    profiles: texts(message.profiles),
    signIn: parseSignIn(message.sign_in)
  };
}

export function parseReply(data: unknown): Reply {
  const reply = record(data);
  const error = reply?.ok === true ? null : (text(reply?.error) ?? 'The kernel refused');
  return { error, state: parseState(reply?.state) };
}

/** Whether a sign-in is under way. */
export function isOpen({ signIn }: State): boolean {
  return signIn?.error === null;
}

/** Whether there is any identity, be it beside the notebook's own. */
export function holds({ status }: State): boolean {
  return status.is_federated || status.beside.length > 0;
}

/** A role by its own name: the ARN of a session has the session's behind it, that of a role may have a path before. */
export function roleName(arn: string): string {
  return arn.replace(/(assumed-role\/[^/]+).*/, '$1').replace(/.*\//, '');
}

function parseStatus(status: Record<string, unknown>): Status {
  const each = <K extends string, T>(keys: readonly K[], parse: (value: unknown) => T) =>
    Object.fromEntries(keys.map(key => [key, parse(status[key])])) as Record<K, T>;
  return {
    ...each(TEXTS, text),
    ...each(FLAGS, value => value === true),
    ...each(TIMES, time),
    credentials: oneOf(status.credentials, ['none', 'valid', 'expired']) ?? 'none',
    sign_in: oneOf(status.sign_in, ['ok', 'needs_you', 'not_renewable', 'none']) ?? 'none',
    way_back: text(status.way_back) ?? '%federate',
    beside: texts(status.beside)
  };
}

function parseSignIn(data: unknown): SignIn | null {
  const signIn = record(data);
  if (!signIn) {
    return null;
  }
  const offer = record(signIn.offer);
  return {
    profile: text(signIn.profile),
    waiting: text(signIn.waiting),
    question: text(signIn.question),
    error: text(signIn.error),
    offer: offer && {
      issuer: text(offer.issuer) ?? '',
      steps: texts(offer.steps),
      address: webAddress(offer.address),
      code: text(offer.code),
      until: time(offer.until)
    }
  };
}

function record(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}

function text(value: unknown): string | null {
  return (typeof value === 'string' && value) || null;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => text(item) !== null) : [];
}

function time(value: unknown): number | null {
  // Date's range: beyond it `toISOString` raises.
  return typeof value === 'number' && Math.abs(value) <= 8.64e15 ? value : null;
}

function oneOf<T extends string>(value: unknown, allowed: readonly T[]): T | null {
  return allowed.find(item => item === value) ?? null;
}

/** A link to `javascript:` would run in the page. */
function webAddress(value: unknown): string | null {
  const address = text(value);
  return address !== null && /^https?:\/\//i.test(address) ? address : null;
}
