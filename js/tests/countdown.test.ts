import { describe, expect, it } from 'vitest';
import {
  clock,
  duration,
  expired,
  label,
  left,
  level,
  mismatch,
  outlook,
  until,
  words
} from '../src/countdown';
import { MINUTE, NOW, state, trans } from './states';

describe('clock', () => {
  it.each([
    [2_530_000, '42:10'],
    [2_529_001, '42:10'],
    [59_000, '0:59'],
    [1, '0:01'],
    [0, '0:00'],
    [-5000, '0:00'],
    [3_600_000, '1:00:00'],
    [43_199_000, '11:59:59']
  ])('shows %d ms as %s', (milliseconds, shown) => {
    expect(clock(milliseconds)).toBe(shown);
  });
});

describe('duration', () => {
  it.each([
    [55 * MINUTE, '55 minutes'],
    [MINUTE, '1 minute'],
    [20_000, 'less than a minute'],
    [150 * MINUTE, '2 hours']
  ])('says %d ms as %s', (milliseconds, said) => {
    expect(duration(milliseconds, trans)).toBe(said);
  });
});

describe('until', () => {
  it('says the time of day, its zone and what is left, and of what is over the time alone', () => {
    expect(until(NOW + 42 * MINUTE, NOW, trans)).toMatch(/\d\d.* [A-Z][\w:+-]+ \(42:00 left\)$/);
    expect(until(NOW - 1, NOW, trans)).not.toContain('left');
  });
});

describe('level', () => {
  it.each([
    ['ordinary', 42, {}],
    ['ordinary', 5.1, {}],
    ['warn', 5, {}],
    ['alarm', 0, {}],
    ['alarm', 42, { sign_in: 'needs_you' }],
    ['alarm', -1, { credentials: 'expired' }],
    ['quiet', 42, { credentials: 'none', sign_in: 'none' }],
    ['ordinary', 42, { credentials_expire_at: null }]
  ])('is %s with %d minutes left and %j', (expected, minutes, more) => {
    expect(level(state(minutes, more), NOW, 5)).toBe(expected);
  });

  it('follows the setting', () => {
    expect(level(state(42), NOW, 60)).toBe('warn');
    expect(level(state(0.1), NOW, 0)).toBe('ordinary');
  });
});

describe('expired', () => {
  it('is known by the clock before the kernel says it', () => {
    expect([expired(state(1), NOW), expired(state(1), NOW + MINUTE)]).toEqual([false, true]);
    expect(left(state(1), NOW + 2 * MINUTE)).toBe(0);
  });
});

describe('label', () => {
  it.each([
    ['AWS research', {}, {}],
    ['AWS', { profile: null }, {}],
    ['AWS research expired', { credentials: 'expired' }, {}],
    ['AWS research needs you', { sign_in: 'needs_you' }, {}],
    ['AWS signed out', { credentials: 'none', profile: null }, {}],
    ['AWS research: signing in', {}, { sign_in: { waiting: 'Waiting' } }],
    ['AWS research: sign-in failed', {}, { sign_in: { error: 'No.' } }]
  ])('is %s with %j %j', (expected, more, beside) => {
    expect(label(state(42, more, beside), NOW, trans)).toBe(expected);
  });
});

describe('words', () => {
  const at = (minutes: number, more: object) => words(state(42, more), NOW + minutes * MINUTE, 5, trans);

  it.each([{ sign_in: 'not_renewable' }, { last_error: 'No answer.', next_try_at: NOW + 60 * MINUTE }])(
    'changes at the threshold and not with the seconds with %j',
    more => {
      expect(at(36.9, more)).toBe(at(0, more));
      expect(at(37, more)).toBe('The AWS session ends in less than 5 minutes.');
      expect(at(41.9, more)).toBe(at(37, more));
      expect(at(42, more)).toBe('The AWS session has expired.');
    }
  );

  it('alarms nobody while it is renewed', () => {
    expect(at(0, {})).toBe('The AWS session is renewed in the background.');
    expect(at(41.9, {})).toBe(at(0, {}));
    expect(at(41.9, { refreshing: true })).toBe('The AWS session is being renewed.');
    expect(at(42, {})).toBe('The AWS session has expired.');
  });
});

describe('outlook', () => {
  it('says what to do where nothing renews it, and nothing where it is renewed', () => {
    expect(outlook(state(42), NOW, trans)).toBeNull();
    expect(
      outlook(state(42, { sign_in: 'not_renewable', way_back: '%federate prod' }), NOW, trans)
    ).toContain('%federate prod');
    expect(outlook(state(42, { sign_in: 'not_renewable', interactive: true }), NOW, trans)).toContain(
      'sign in anew'
    );
    expect(outlook(state(42, { next_try_at: NOW + MINUTE }), NOW, trans)).toContain('tried again');
    expect(outlook(state(42, { sign_in: 'needs_you' }), NOW, trans)).toBeNull();
  });
});

describe('mismatch', () => {
  it('names the side to update', () => {
    expect(mismatch(state(42), trans)).toBeNull();
    expect(mismatch(state(42, {}, { protocol: 2 }), trans)).toContain(
      'update it where JupyterLab is installed'
    );
    expect(mismatch(state(42, {}, { protocol: 0 }), trans)).toContain(
      'update it where the kernel is installed'
    );
  });
});
