import { describe, expect, it } from 'vitest';
import { parseReply, parseState, roleName } from '../src/protocol';
import { said, state } from './states';

describe('parseState', () => {
  it.each([
    [null],
    [undefined],
    ['text'],
    [42],
    [[]],
    [{}],
    [{ protocol: 1 }],
    [{ status: {} }],
    [{ protocol: '1', status: {} }]
  ])('takes nothing from what is no state: %j', data => {
    expect(parseState(data)).toBeNull();
  });

  it('takes each field that has its type and leaves the others absent', () => {
    const odd = state(42, {
      profile: 7,
      credentials: 'gold',
      sign_in: {},
      role_arn: '',
      sign_in_expires_at: '1',
      beside: [1, 'prod']
    });
    expect(odd.status.profile).toBeNull();
    expect(odd.status.credentials).toBe('none');
    expect(odd.status.sign_in).toBe('none');
    expect(odd.status.role_arn).toBeNull();
    expect(odd.status.sign_in_expires_at).toBeNull();
    expect(odd.status.beside).toEqual(['prod']);
    expect(odd.status.subject).toBe('ada@example.org');
  });

  it('refuses a time that no Date can hold', () => {
    expect(state(Number.MAX_VALUE).status.credentials_expire_at).toBeNull();
    expect(state(42, { next_try_at: Number.NaN }).status.next_try_at).toBeNull();
  });

  it('passes over keys that it does not know', () => {
    expect(state(42, { later: 1 }, { later: { x: 1 } }).status.profile).toBe('research');
  });

  it('finds profile and times in a state of another protocol', () => {
    const later = state(42, {}, { protocol: 9, sign_in: 'something else' });
    expect([later.protocol, later.status.profile, later.signIn]).toEqual([9, 'research', null]);
    expect(later.status.credentials_expire_at).not.toBeNull();
  });

  it.each(['javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', ' https://example.org', 7])(
    'makes no link of %j',
    address => {
      expect(state(42, {}, { sign_in: { offer: { address } } }).signIn?.offer?.address).toBeNull();
    }
  );

  it('takes an offer as it is said', () => {
    const offer = {
      issuer: 'https://login.example.org',
      client_id: 'x',
      steps: ['Open it.'],
      address: 'https://a/b',
      code: 'AB-CD',
      until: 1_790_000_600_000
    };
    const open = state(
      42,
      {},
      { sign_in: { profile: 'prod', waiting: 'Waiting: 2 s', question: 'Paste it:', offer } }
    ).signIn;
    expect(open).toEqual({
      profile: 'prod',
      waiting: 'Waiting: 2 s',
      question: 'Paste it:',
      error: null,
      offer: {
        issuer: 'https://login.example.org',
        steps: ['Open it.'],
        address: 'https://a/b',
        code: 'AB-CD',
        until: 1_790_000_600_000
      }
    });
  });
});

describe('parseReply', () => {
  it('is a refusal unless it says ok', () => {
    expect(parseReply({ ok: 'yes', state: said(42) }).error).toBe('The kernel refused');
    expect(parseReply(null)).toEqual({ error: 'The kernel refused', state: null });
    expect(parseReply({ ok: true, error: 'No.', state: said(42) }).error).toBeNull();
    expect(parseReply({ ok: true, state: said(42) }).state?.status.profile).toBe('research');
  });
});

describe('roleName', () => {
  it.each([
    ['arn:aws:sts::123456789012:assumed-role/Researcher/ada@example.org', 'Researcher'],
    ['arn:aws:iam::123456789012:role/Researcher', 'Researcher'],
    ['arn:aws-cn:iam::123456789012:role/teams/birds/Researcher', 'Researcher']
  ])('of %j is %j', (arn, name) => {
    expect(roleName(arn)).toBe(name);
  });
});
