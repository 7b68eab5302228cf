import type { TranslationBundle } from '@jupyterlab/translation';
import { isOpen, PROTOCOL, type State } from './protocol';

export type Level = 'quiet' | 'ordinary' | 'warn' | 'alarm';

/** What is left, as a clock shows it: "42:10", "1:02:03". */
export function clock(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  const pad = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  const rest = pad(seconds % 60);
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${rest}`;
}

/** A time of day and its zone, with the date where it is another day's, and what is left: "14:32 CET (42:10 left)". */
export function until(time: number, now: number, trans: TranslationBundle): string {
  const date = new Date(time);
  const sameDay = date.toDateString() === new Date(now).toDateString();
  const shown = date.toLocaleString(undefined, {
    ...(!sameDay && { month: 'short', day: 'numeric' }),
    hour: '2-digit',
    minute: '2-digit',
    timeZoneName: 'short'
  });
  return time > now ? trans.__('%1 (%2 left)', shown, clock(time - now)) : shown;
}

/** What is left, in a sentence: "55 minutes". */
export function duration(milliseconds: number, trans: TranslationBundle): string {
  const minutes = Math.round(milliseconds / 60_000);
  if (minutes < 1) {
    return trans.__('less than a minute');
  }
  return minutes < 120
    ? trans._n('%1 minute', '%1 minutes', minutes)
    : trans._n('%1 hour', '%1 hours', Math.floor(minutes / 60));
}

/** Milliseconds that the credentials still have, or null without any. */
export function left(state: State, now: number): number | null {
  const end = state.status.credentials_expire_at;
  return end && Math.max(0, end - now);
}

/** Whether the credentials are over: said by the kernel, or by the clock before the kernel could say it. */
export function expired(state: State, now: number): boolean {
  return state.status.credentials === 'expired' || left(state, now) === 0;
}

/** Why somebody has to sign in, or null. */
function trouble(state: State, now: number): 'expired' | 'needs_you' | 'none' | null {
  const { credentials, sign_in } = state.status;
  if (expired(state, now)) {
    return 'expired';
  }
  return sign_in === 'needs_you' ? sign_in : credentials === 'none' ? credentials : null;
}

/** Whether somebody has to sign in. */
export function needsSignIn(state: State, now: number): boolean {
  return trouble(state, now) !== null;
}

export function level(state: State, now: number, warnMinutes: number): Level {
  const why = trouble(state, now);
  if (why) {
    return why === 'none' ? 'quiet' : 'alarm';
  }
  return (left(state, now) ?? Number.POSITIVE_INFINITY) <= warnMinutes * 60_000 ? 'warn' : 'ordinary';
}

export function heading(state: State): string {
  return `AWS ${state.status.profile ?? ''}`.trim();
}

/** The status item's text before the clock. */
export function label(state: State, now: number, trans: TranslationBundle): string {
  const name = heading(state);
  const why = trouble(state, now);
  if (state.signIn) {
    return isOpen(state) ? trans.__('%1: signing in', name) : trans.__('%1: sign-in failed', name);
  }
  return why
    ? {
        expired: trans.__('%1 expired', name),
        needs_you: trans.__('%1 needs you', name),
        none: trans.__('%1 signed out', name)
      }[why]
    : name;
}

/** The state in one sentence that stays the same until something happens or a threshold is passed. */
export function words(state: State, now: number, warnMinutes: number, trans: TranslationBundle): string {
  const why = trouble(state, now);
  if (state.signIn) {
    return isOpen(state) ? trans.__('A sign-in to AWS is open.') : trans.__('The sign-in has failed.');
  }
  if (why) {
    return {
      expired: trans.__('The AWS session has expired.'),
      needs_you: trans.__('The AWS sign-in has ended and needs you.'),
      none: trans.__('Not signed in to AWS.')
    }[why];
  }
  const { sign_in, last_error, refreshing } = state.status;
  if (sign_in === 'ok' && !last_error) {
    return refreshing
      ? trans.__('The AWS session is being renewed.')
      : trans.__('The AWS session is renewed in the background.');
  }
  return level(state, now, warnMinutes) === 'warn'
    ? trans.__('The AWS session ends in less than %1.', duration(warnMinutes * 60_000, trans))
    : trans.__('Signed in to AWS.');
}

/** What becomes of the session when nobody does anything; null where it is renewed, and where there is none. */
export function outlook(state: State, now: number, trans: TranslationBundle): string | null {
  const { sign_in, next_try_at, interactive, way_back } = state.status;
  if (needsSignIn(state, now)) {
    return null;
  }
  if (next_try_at !== null) {
    return trans.__('Renewing the AWS session has failed; it is tried again.');
  }
  if (sign_in !== 'not_renewable') {
    return null;
  }
  return interactive
    ? trans.__('Nothing renews it: sign in anew before it ends.')
    : trans.__('Nothing renews it: bring a fresh token and run %1.', way_back);
}

/** Which side to update, where the two speak different protocols. */
export function mismatch(state: State, trans: TranslationBundle): string | null {
  if (state.protocol === PROTOCOL) {
    return null;
  }
  return state.protocol > PROTOCOL
    ? trans.__(
        'The kernel has jupyter-aws-federation %1, JupyterLab an older one: update it where JupyterLab is installed.',
        state.version
      )
    : trans.__(
        'The kernel has jupyter-aws-federation %1, JupyterLab a newer one: update it where the kernel is installed.',
        state.version
      );
}
