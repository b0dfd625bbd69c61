import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { type Failure, Outgoing } from '../../src/core/delivery.ts'
import { openSink } from '../../src/sinks/index.ts'
import { freshFolder } from '../support/processes.ts'
import { wholeEvent } from '../support/whole-event.ts'
import { send, startHttpPeer } from './http-peer.ts'

/* Roles are assumed by a service of its own, which answers in XML, as pods of Kubernetes on AWS do it. */

const { signal } = new AbortController()

const credentials = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult><Credentials>
    <AccessKeyId>ASIATEST</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
    <SessionToken>token</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>
  </Credentials></AssumeRoleWithWebIdentityResult>
  <ResponseMetadata><RequestId>a1</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>`

const refusal = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error><Type>Sender</Type><Code>ValidationError</Code><Message>wrong role_arn</Message></Error>
  <RequestId>a1</RequestId></ErrorResponse>`

/** A sink of X-Ray whose credentials come from a role. */
async function open(t: TestContext, status: number, answer: string) {
  const sts = await startHttpPeer(t, (_, response) => {
    send(response, status, answer, { 'content-type': 'text/xml' })
  })
  const xray = await startHttpPeer(t, (_, response) => {
    send(response, 200, {}, { 'x-amzn-requestid': 'b2' })
  })
  const tokenFile = join(freshFolder(), 'token')
  writeFileSync(tokenFile, 'a.b.c')
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'])
    delete process.env[name]
  Object.assign(process.env, {
    AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/wafermon',
    AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile,
    AWS_ENDPOINT_URL_STS: sts.url,
  })
  const config = { aws_region: 'eu-central-1', endpoint: xray.url }
  const sink = await openSink(
    { type: 'aws_xray', name: 'xray', config },
    { log: pino({ level: 'silent' }) },
  )
  t.after(() => sink.close?.())
  return { sts, xray, sink }
}

describe('a sink of AWS with a role', () => {
  test('assumes it, and delivers with the credentials that it gets', async (t) => {
    const { sts, xray, sink } = await open(t, 200, credentials)
    const batch = [new Outgoing(1, JSON.stringify(wholeEvent(1)))]
    assert.deepEqual(await sink.deliver(batch, signal), { kind: 'judged', verdicts: ['taken'] })
    assert.match(String(sts.asked[0]?.body), /Action=AssumeRoleWithWebIdentity/)
    assert.match(String(xray.asked[0]?.request.headers.authorization), /Credential=ASIATEST\//)
  })

  test('waits where there are none, and where their service is busy or its token has expired', async (t) => {
    const batch = [new Outgoing(1, JSON.stringify(wholeEvent(1)))]
    const words = ['Throttling: Rate exceeded', 'ExpiredTokenException']
    for (const code of words) {
      const { sink } = await open(t, 400, refusal.replace('ValidationError', code))
      const { kind, permanent } = (await sink.deliver(batch, signal)) as Failure
      assert.deepEqual([code, kind, permanent], [code, 'failed', undefined])
    }
    const { sink } = await open(t, 200, credentials)
    const before = { ...process.env }
    t.after(() => Object.assign(process.env, before))
    for (const name of ['AWS_ROLE_ARN', 'AWS_WEB_IDENTITY_TOKEN_FILE']) delete process.env[name]
    const none = join(freshFolder(), 'none')
    Object.assign(process.env, {
      AWS_EC2_METADATA_DISABLED: 'true',
      ...{ AWS_CONFIG_FILE: none, AWS_SHARED_CREDENTIALS_FILE: none },
    })
    assert.deepEqual(await sink.deliver(batch, signal), {
      kind: 'failed',
      reason: 'it cannot be asked: no credentials of AWS were found (variables, profile, role)',
    })
  })

  test('refuses no event when the role is refused', async (t) => {
    const { xray, sink } = await open(t, 400, refusal)
    const batch = [new Outgoing(1, JSON.stringify(wholeEvent(1)))]
    const answer = await sink.deliver(batch, signal)
    assert.equal(answer.kind, 'failed')
    assert.match(
      (answer as { reason: string }).reason,
      /the credentials of AWS were refused \(400 .*wrong role_arn/,
    )
    assert.equal(xray.asked.length, 0)
  })
})
