import type { Bug } from './plant.ts'

/**
 * The bugs that `npm run test:planted` plants, each of the kind that a careless change brings in and
 * that a review may miss. When the code around one changes, adapt `find` and `replace`; when the
 * test moves, adapt `test`. A bug without a test that notices is a test that is missing.
 */
export const bugs: readonly Bug[] = [
  {
    name: 'spool answers before it has committed',
    why: 'what was answered with 200 is lost when the sidecar dies in that moment',
    file: 'src/spool/append-queue.ts',
    find: 'this.#waiting.push({ items, resolve, reject })',
    replace: "resolve(items.map(() => 'stored')), this.#waiting.push({ items, resolve, reject })",
    test: [
      'test/spool/restart.test.ts',
      'the next spool in the same folder > has an event that was answered, if the one before died at that moment',
    ],
  },
  {
    name: 'spool syncs at checkpoints only (NORMAL)',
    why: 'a power cut takes answered events with it',
    file: 'src/spool/database.ts',
    find: `db.pragma('synchronous = full')`,
    replace: `db.pragma('synchronous = normal')`,
    test: [
      'test/journey/sidecar.test.ts',
      'the sidecar > syncs to disk at least once for every answer',
    ],
    built: true,
  },
  {
    name: 'spool takes repeats for new events',
    why: 'every retry of a program counts twice',
    file: 'src/spool/event-writer.ts',
    find: `return fresh[next++] ? 'stored' : 'duplicate'`,
    replace: `next++
      return 'stored'`,
    test: [
      'test/spool/spool.test.ts',
      'Spool > takes an event once: within a request, across requests, after delivery, after a restart',
    ],
  },
  {
    name: 'names with a backslash are read as JSON.parse reads them',
    why: 'a field of the metadata comes back under the name of another one',
    file: 'src/core/json.ts',
    find: 'if (spans.length === 0) return JSON.parse(text, reviver)',
    replace: 'return JSON.parse(text, reviver)',
    test: ['test/core/json.test.ts', 'parseText > reads a name although it saw another one before'],
  },
  {
    name: 'texts go into arrays as they are',
    why: 'a quotation mark in a lot breaks off the batch, or makes two lots of one',
    file: 'src/store/unnest.ts',
    find: 'needsEscape.test(text) ?',
    replace: 'needsEscape.test("") ?',
    test: ['test/store/unnest.test.ts', 'rows as arrays > escape what would end a text'],
  },
  {
    name: 'spool gives numbers to events that it refuses',
    why: 'gaps are reported that are none, and the real ones drown in them',
    file: 'src/spool/event-writer.ts',
    find: `if (verdicts[i] !== 'stored') continue
      seq++`,
    replace: `seq++
      if (verdicts[i] !== 'stored') continue`,
    test: [
      'test/spool/spool.test.ts',
      'Spool > sheds ticks above the soft cap, takes ends until it is full, and loses nothing it took',
    ],
  },
  {
    name: 'spool drops what one of two sinks has taken',
    why: 'a sink that was away for a while misses events forever',
    file: 'src/spool/spool.ts',
    find: 'const gone = this.#ackedByAll',
    replace: 'const gone = Math.max(...this.#acked.values())',
    test: ['test/spool/spool.test.ts', 'Spool > keeps what one of two sinks has not acknowledged'],
  },
  {
    name: 'spool begins after its backlog when it restarts',
    why: 'what waited when the sidecar stopped is never delivered',
    file: 'src/spool/cursors.ts',
    find: 'cursors.set(name, position)',
    replace: `cursors.set(name,
      (db.prepare('select max(seq) from event').pluck().get() as number) ?? position)`,
    test: [
      'test/spool/restart.test.ts',
      'the next spool in the same folder > continues at the position of each sink',
    ],
  },
  {
    name: 'spool trusts a damaged database',
    why: 'events after the damage are lost without a word',
    file: 'src/spool/open.ts',
    find: 'const unchecked = isLarge(path)',
    replace: 'const unchecked = true',
    test: [
      'test/spool/spool.test.ts',
      'a damaged spool > does not keep a sidecar from starting: garbage in the middle',
    ],
  },
  {
    name: 'drain acknowledges before the answer',
    why: 'a batch is lost with every failure of the other side',
    file: 'src/spool/drain.ts',
    find: 'await this.#options.deliver(batch, signal)',
    replace: `await (this.#options.spool.ack(this.sink, batch.at(-1)!.seq),
        this.#options.deliver(batch, signal))`,
    test: [
      'test/spool/drain-acks.test.ts',
      'Drain > acknowledges what was taken and nothing else, and offers the rest again',
    ],
  },
  {
    name: 'spool believes an acknowledgment of more than there is',
    why: 'the next events are deleted without that sink ever seeing them',
    file: 'src/spool/cursors.ts',
    find: 'seq >= before && seq <= last',
    replace: 'seq >= before',
    test: [
      'test/spool/ack.test.ts',
      'an acknowledgment > beyond the last event deletes no event that the sink has not seen',
    ],
  },
  {
    name: 'spool believes a recorded position after the last event',
    why: 'a sink is never offered what waits for it',
    file: 'src/spool/cursors.ts',
    find: 'last !== null && acked > last ? first - 1 : acked',
    replace: 'acked',
    test: [
      'test/spool/ack.test.ts',
      'a sink whose recorded position is after the last event > is offered everything that is there, and what comes after',
    ],
  },
  {
    name: 'drain takes a verdict list of another length',
    why: 'events count as delivered that the sink never mentioned',
    file: 'src/core/delivery.ts',
    find: 'ensure(verdicts.length === count,',
    replace: 'ensure(verdicts.length >= count,',
    test: [
      'test/sinks/wrong.test.ts',
      'delivery to a sink that answers everything wrong > loses and invents nothing while this is wrong: one verdict too many',
    ],
  },
  {
    name: 'drain acknowledges past an event that has to come later',
    why: 'an event that the sink could not take at that moment is lost',
    file: 'src/spool/lanes.ts',
    find: "if (state !== 'closed') break",
    replace: "if (state !== 'closed') continue",
    test: [
      'test/spool/verdicts.test.ts',
      'whatever a sink answers > what is acknowledged is a beginning of what it took or refused, each refused event is a reject once, no event is left out or overtakes',
    ],
    says: 'only closed events are acknowledged',
  },
  {
    name: 'sink believes an answer that does not add up',
    why: 'a proxy that says 200 to everything empties the spool into nothing',
    file: 'src/sinks/local-api/judge.ts',
    find: 'if (!addsUp) {',
    replace: 'if (!answer) {',
    test: [
      'test/sinks/local-api.test.ts',
      'the sink of the local API > does not believe a 200 that speaks of other events',
    ],
  },
  {
    name: 'sink takes a 500 for a verdict on the event',
    why: 'a bug at the other side, or its outage, sets good events aside',
    file: 'src/sinks/local-api/judge.ts',
    find: 'if (answer.status === 422 || answer.status === 400)',
    replace: 'if (answer.status >= 400)',
    test: [
      'test/sinks/local-api.test.ts',
      'the sink of the local API > takes a 500 for an outage, also when it is in our own words',
    ],
  },
  {
    name: 'sink blames an event for a request that was damaged on its way',
    why: 'a proxy that drops Content-Encoding makes rejects of the whole spool',
    file: 'src/sinks/local-api/judge.ts',
    find: 'if (status === 400 && batch[0]?.event !== undefined)',
    replace: 'if (status === 0)',
    test: [
      'test/sinks/local-api-contract.test.ts',
      'delivery to local_api > loses and invents nothing while this is wrong: 400, in our own words',
    ],
  },
  {
    name: 'drain takes what it recorded at last for a failure',
    why: 'a sidecar with nothing left to deliver stays degraded',
    file: 'src/spool/drain.ts',
    find: 'if (leftOver && !unrecorded) this.#delivered()',
    replace: '',
    test: [
      'test/spool/drain.test.ts',
      'Drain > works again once it has recorded what the disk could not record at first',
    ],
  },
  {
    name: 'salvage believes a position after the last event',
    why: 'every event of a damaged spool counts as delivered',
    file: 'src/spool/salvage.ts',
    find: 'acked > last ? 0 : acked',
    replace: 'acked > last ? acked : acked',
    test: [
      'test/spool/spool.test.ts',
      'a damaged spool > is carried over whole when the recorded position of its sink is after the last event',
    ],
  },
  {
    name: 'spool continues the epoch that it finds',
    why: 'a restored folder numbers other events as those that were delivered, and they are dropped',
    file: 'src/spool/epochs.ts',
    find: 'this.epoch = newEpoch(this.#all.at(-1)?.epoch)',
    replace: `this.epoch = this.#all.at(-1)?.epoch ?? newEpoch()
    this.#given = db
      .prepare('select coalesce(max(source_seq), 0) from event')
      .pluck()
      .get() as number`,
    test: [
      'test/spool/back-in-time.test.ts',
      'a spool that goes back in time > gives no number twice: a restored folder, and a copy that runs beside it',
    ],
  },
  {
    name: 'spool writes into files that nobody can see',
    why: 'what is answered with 200 is gone when the sidecar ends',
    file: 'src/spool/guard.ts',
    find: 'return this.#unsound ?? this.#whereabouts.trouble',
    replace: 'return this.#unsound',
    test: [
      'test/spool/taken-away.test.ts',
      'a file of the spool that goes while it runs > is seen before the next answer, and makes health red: spool.db removed',
    ],
  },
  {
    name: 'spool keeps no record of its last number',
    why: 'a missing log takes events with it without a word',
    file: 'src/spool/guard.ts',
    find: 'this.#lastSeq.write(last, delivered)\n  }',
    replace: 'void [last, delivered]\n  }',
    test: [
      'test/spool/taken-away.test.ts',
      'a spool that lags behind its record of the last number > says how many events a missing log took',
    ],
  },
  {
    name: 'sidecar stamps with whatever source-id says',
    why: 'every event becomes a reject that no retry heals',
    file: 'src/spool/source-id.ts',
    find: 'return isSourceId(text) ? text : undefined',
    replace: 'return text || undefined',
    test: ['test/spool/source-id.test.ts', 'a damaged source-id > costs no event: too long'],
  },
  {
    name: 'large spool is never checked',
    why: 'damage is found by the event that is lost in it',
    file: 'src/spool/guard.ts',
    find: 'if (report.unchecked)',
    replace: 'if (report.unchecked && !path)',
    test: [
      'test/spool/large.test.ts',
      'a large spool > takes events while it is being checked, and says so',
    ],
  },
  {
    name: 'spool passes over an event that is missing',
    why: 'what is acknowledged after it deletes it without a word',
    file: 'src/spool/peek.ts',
    find: 'if (row.seq !== due) throw',
    replace: 'if (row.seq < due) throw',
    test: [
      'test/spool/large.test.ts',
      'a spool that lacks an event in the middle > is not handed out past it while it runs',
    ],
  },
  {
    name: 'one bad event fails the batch it is in',
    why: 'a program with one wrong field takes the events of all others with it',
    file: 'src/api/ingest.ts',
    find: `if (!read.ok) {
      const { idempotencyKey, field, detail } = read`,
    replace: `if (!read.ok) {
      throw invalid(read)
      const { idempotencyKey, field, detail } = read`,
    test: [
      'test/journey/sidecar.test.ts',
      'the sidecar > names the field, what was got and the remedy, and keeps the good events beside it',
    ],
    built: true,
  },
  {
    name: 'a route of the door answers before the commit',
    why: 'what was answered with 200 is lost when the process dies in that moment',
    file: 'src/api/ingest.ts',
    find: 'const [verdict] = await acceptTraced([read], options)',
    replace: `void acceptTraced([read], options)
    const [verdict]: Verdict[] = ['stored']`,
    test: [
      'test/api/ingest-bare.test.ts',
      'a route that is answered before the framework > answers once its events are durable, and not before',
    ],
  },
  {
    name: 'the check by hand takes what the schema refuses',
    why: 'the sidecar answers 200 to events that no later hop can store',
    file: 'src/core/usual-event.ts',
    find: 'if (!Number.isFinite(metrics[name])) return false',
    replace: 'if (metrics[name] === undefined) return false',
    test: [
      'test/core/usual-event.test.ts',
      'the check by hand > takes nothing that the schema refuses, and makes the same of what it takes',
    ],
  },
  {
    name: 'starts are forgotten too early',
    why: 'jobs of programs that do not repeat their start get none',
    file: 'src/core/start-times.ts',
    find: 'this.#old = this.#young',
    replace: 'this.#old = new Map()',
    test: [
      'test/core/start-times.test.ts',
      'StartTimes > remembers the jobs used last, and at most twice as many',
    ],
  },
  {
    name: 'a poisoned event fails its whole transaction',
    why: 'one event that the database cannot hold stops the drain forever',
    file: 'src/store/ingest.ts',
    find: 'if (!isDataError(error)) throw error',
    replace: 'throw error',
    test: [
      'test/store/ingest.test.ts',
      'ingest on plain PostgreSQL > refuses a poisoned event alone and keeps the rest of its batch',
    ],
    says: 'unsupported Unicode escape sequence',
  },
  {
    name: 'store folds repeats once more',
    why: 'counters grow with every repeated delivery',
    file: 'src/store/ingest.ts',
    find: 'const fresh = settled.filter((_, index) => isNew[index])',
    replace: 'const fresh = settled',
    test: [
      'test/store/ingest.test.ts',
      'ingest on plain PostgreSQL > folds as core does, in any order, batches, repetition, by two writers, while the horizon moves',
    ],
  },
  {
    name: 'store forgets what came ahead of its time',
    why: 'an event with a clock ahead is there twice once its day has come',
    file: 'src/store/ingest-insert.ts',
    find: 'latestLate !== null && latestLate >= frozenBefore',
    replace: 'false && latestLate',
    test: [
      'test/store/ingest.test.ts',
      'ingest on plain PostgreSQL > puts what no partition is open for into event_late, and never twice',
    ],
  },
  {
    name: 'store forgets what was archived and dropped',
    why: 'a spool that is restored months later doubles its history',
    file: 'src/store/ingest-sql.ts',
    find: 'and s.received @> r.source_seq',
    replace: 'and false',
    test: [
      'test/store/ingest.test.ts',
      'ingest on plain PostgreSQL > knows a repeat by its source when the raw row is gone, and does not fold it again',
    ],
  },
  {
    name: 'fold in SQL lets the last write win',
    why: 'a job changes with the order in which its events happen to arrive',
    file: 'src/store/ingest-sql.ts',
    find: 'is null or (excluded.',
    replace: 'is null or true or (excluded.',
    test: [
      'test/store/ingest.test.ts',
      'ingest on plain PostgreSQL > folds as core does, in any order, batches, repetition, by two writers, while the horizon moves',
    ],
  },
  {
    name: 'a slot is merged by another rule than its SQL',
    why: 'a job differs by whether its events came in one batch or in two',
    file: 'src/store/ingest-sql.ts',
    find: '= least(',
    replace: '= greatest(',
    test: [
      'test/store/slots.test.ts',
      'the table of slots > is merged by the same rules in SQL as in memory',
    ],
  },
  {
    name: 'fold in memory lets the last write win',
    why: 'a job changes with the order in which its events happen to arrive',
    file: 'src/core/fold.ts',
    find: 'if (theirs[at] === undefined || !isLater(theirs, ours, at, key)) return',
    replace: 'if (theirs[at] === undefined) return',
    test: [
      'test/core/fold.test.ts',
      'the fold > agrees with wire.md, section 5, for every order, repetition and split into batches',
    ],
  },
  {
    name: 'fold keeps the parent that it heard of first',
    why: 'a wafer belongs to another lot after a replay',
    file: 'src/core/fold.ts',
    find: 'wins(value as never, known as never)',
    replace: 'false',
    test: [
      'test/core/fold.test.ts',
      'the fold > agrees with wire.md, section 5, for every order, repetition and split into batches',
    ],
  },
  {
    name: 'live positions are a plain serial',
    why: 'dashboards skip what commits late, and never show it',
    file: 'src/store/ingest.ts',
    find: 'select pg_advisory_xact_lock(',
    replace: 'select pg_advisory_xact_lock_shared(',
    test: [
      'test/store/live-order.test.ts',
      'a transaction that others would overtake > is heard by live readers when it is held with its position, before it commits',
    ],
  },
  {
    name: 'live positions are numbered when a transaction begins',
    why: 'dashboards skip what commits late, and never show it',
    file: 'src/store/ingest.ts',
    find: "(nextval('live_pos'),",
    replace: "(currval('event_batch_id'),",
    test: [
      'test/store/live-order.test.ts',
      'a transaction that others would overtake > is heard by live readers when it is held before it has a position',
    ],
  },
  {
    name: 'cursor in links loses its microseconds',
    why: 'paging skips or repeats jobs of the same millisecond',
    file: 'src/core/cursor-wire.ts',
    find: 'const place = ({ at, id }: Position) =>',
    replace: "const place = ({ at: given, id }: Position, at = given.slice(0, 23) + '000Z') =>",
    test: [
      'test/api/jobs.test.ts',
      'pages of GET /v1/jobs > are the complete list, with ties, and while rows arrive',
    ],
  },
  {
    name: 'a route is mounted without its scope',
    why: 'jobs of a fab are readable without a token',
    file: 'src/api/route.ts',
    find: 'if (scope) app.on(verb, at, requireScope(auth, scope))',
    replace: "if (scope && scope !== 'read') app.on(verb, at, requireScope(auth, scope))",
    test: [
      'test/api/jobs.test.ts',
      'every route > requires a token with scope read where tokens are required',
    ],
  },
  {
    name: 'token compare accepts a prefix',
    why: 'a guess that is nearly right opens the door',
    file: 'src/platform/auth.ts',
    find: "createHash('sha256').update(token)",
    replace: "createHash('sha256').update(token.slice(0, 40))",
    test: [
      'test/tools/token.test.ts',
      'a token > is that text and no other: not cut, not longer, not changed anywhere',
    ],
  },
  {
    name: 'SDK throws into the program',
    why: 'a tool stops because of its monitoring',
    file: 'src/sdk/job.ts',
    find: `} catch {
      this.#note()
    }`,
    replace: `} finally {
      this.#note()
    }`,
    test: [
      'test/sdk/hostile.test.ts',
      'whatever a program hands over > as an emitter that throws, the work runs',
    ],
  },
  {
    name: 'start trusts the lock file of a killed database',
    why: 'nothing starts after a crash until an operator logs in',
    file: 'src/embedded-postgres/leftovers.ts',
    find: "rmSync(join(dataDir, 'postmaster.pid'), { force: true })",
    replace: '',
    test: [
      'test/embedded-postgres/server.test.ts',
      'startEmbedded > starts when postmaster.pid names a process that is another one by now',
    ],
    says: 'lock file "postmaster.pid" already exists',
  },
  {
    name: 'a resumed reader starts at the shared position',
    why: 'what happened while a dashboard was reconnecting never shows on it',
    file: 'src/sites/site-follower.ts',
    find: 'const cursor = after === undefined ? this.#log.end : this.#log.after(after)',
    replace: 'const cursor: number | undefined = this.#log.end',
    test: [
      'test/sites/site-follower.test.ts',
      'the shared connection to a site > serves a reader that resumes from its log, without a connection more',
    ],
    says: 'it hears the rest',
  },
  {
    name: 'a shared stream resumes after any position that a caller names',
    why: 'one bad Last-Event-ID cuts every dashboard off from a site that is well',
    file: 'src/sites/merged-feed.ts',
    find: 'if (isPosition(position)) positions.set(site, position)',
    replace: 'if (position !== "") positions.set(site, position)',
    test: [
      'test/sites/merged-feed.test.ts',
      'the live streams of several sites as one > never resumes a shared connection with a position that the site cannot be sent',
    ],
  },
  {
    name: 'a breaker judges an outage by the probe of the last one',
    why: 'questions fail, without a reason, though the site answers',
    file: 'src/sites/breaker.ts',
    find: 'this.#probedAt = -Infinity\n    this.#verdict.resolve()',
    replace: 'this.#verdict.resolve()',
    test: [
      'test/sites/breaker.test.ts',
      'a breaker > that opens again soon after a probe asks again, and never fails without a reason',
    ],
  },
  {
    name: 'a site that fails takes all sites with it',
    why: 'central shows nothing because one fab is cut off',
    file: 'src/sites/merged-reader.ts',
    find: 'const settled = await Promise.allSettled( sites.map((site) => this.#askSite(site, signal, outcomes, () => call(site))), )',
    replace: `const settled = (await Promise.all(sites.map((site) => this.#askSite(site, signal, outcomes, () => call(site)))))
      .map((value) => ({ status: 'fulfilled' as const, value }))`,
    test: [
      'test/sites/merged-reader.test.ts',
      'a question to several sites > is answered without those that fail or hang, which are named',
    ],
    says: 'planted',
  },
  {
    name: 'ingest takes more than can wait',
    why: 'memory grows with the backlog until the role is killed',
    file: 'src/store/ingest-queue.ts',
    find: `throw new AppError('overloaded', 'too many events are waiting for the database', {
        retryAfterS: 1,
      })`,
    replace: '',
    test: [
      'test/store/ingest.test.ts',
      'IngestQueue > turns callers away when too much waits, instead of growing',
    ],
  },
  {
    name: 'archive claims files that it has not read back',
    why: 'retention deletes the only good copy',
    file: 'src/archive/parts.ts',
    find: 'await assertReadsBack(staged, file)',
    replace: '',
    test: [
      'test/archive/lying-disk.test.ts',
      'an hour that does not read back > is not in the archive, and on record nowhere, until it does',
    ],
    built: true,
  },
  {
    name: 'archive replaces the file of a name',
    why: 'an archiver that was asleep writes over what its successor has archived',
    file: 'src/archive/places/folder-files.ts',
    find: 'await link(from, to)',
    replace: 'await rename(from, to)',
    test: [
      'test/archive/place.test.ts',
      'a folder: a name > is given once: other bytes are refused, and the first stay',
    ],
  },
  {
    name: 'archive gives a name to bytes that are not on disk',
    why: 'a power cut leaves a manifest whose files are empty',
    file: 'src/archive/places/folder-files.ts',
    find: 'await file.sync()',
    replace: '',
    test: [
      'test/archive/folder-place.test.ts',
      'a folder > syncs the bytes before the name, then the name, and every folder above',
    ],
  },
  {
    name: 'archive follows a name out of its folder',
    why: 'a site id or a forged manifest reads, writes or removes files anywhere',
    file: 'src/archive/places/place.ts',
    find: `|| part === '..'`,
    replace: '',
    test: [
      'test/archive/place.test.ts',
      'a folder: a name > that leaves the archive is refused: "../x"',
    ],
  },
  {
    name: 'horizon moves back',
    why: 'rows change under hours that are archived already',
    file: 'src/store/horizon.ts',
    find: 'greatest(frozen_before, now() -',
    replace: 'greatest(now() -',
    test: [
      'test/store/freeze.test.ts',
      'the freeze horizon > only moves forward, also when it is told to move back',
    ],
  },
  {
    name: 'events are dropped that are not frozen',
    why: 'what is not archived yet is gone',
    file: 'src/store/horizon.ts',
    find: "if (!moved) throw new AppError('invalid', `events above the freeze horizon cannot be dropped`)",
    replace: '',
    test: [
      'test/store/freeze.test.ts',
      'the freeze horizon > keeps what lies above it from being dropped',
    ],
  },
  {
    name: 'store forgets that it dropped something',
    why: 'every repeat from before is stored and counted again',
    file: 'src/store/horizon.ts',
    find: 'dropped_before = greatest(',
    replace: 'dropped_before = least(',
    test: [
      'test/store/freeze.test.ts',
      'the freeze horizon > knows events again whose raw rows were dropped',
    ],
  },
  {
    name: 'cursor of the store loses its microseconds',
    why: 'paging skips or repeats jobs of the same millisecond',
    file: 'src/store/store-reader.ts',
    find: 'nextCursor: last ? { at: timeInList(last, filter),',
    replace: 'nextCursor: last ? { at: fromMs(Date.parse(timeInList(last, filter))),',
    test: [
      'test/store/pages.test.ts',
      'pages of jobs of the same millisecond > neither skip nor repeat one, by any time and in both orders',
    ],
  },
  {
    name: 'SDK keeps more than it may',
    why: 'a tool runs out of memory because the sidecar is down',
    file: 'src/sdk/queue.ts',
    find: 'while (this.size > this.#maxItems ||',
    replace: 'while (this.size < 0 ||',
    test: [
      'test/sdk/emitter.test.ts',
      'SidecarEmitter > a full queue drops the oldest progress first, and then the oldest of the rest',
    ],
  },
  {
    name: 'retention trusts the record of the archive',
    why: 'raw events go although their file is gone or broken',
    file: 'src/archive/retention.ts',
    find: 'await assertFileReadsBack(place, file)',
    replace: '',
    test: [
      'test/archive/retention.test.ts',
      'raw events past retention > stay while a file or a manifest is not as it was noted',
    ],
  },
  {
    name: 'retention does not count the rows of the archive',
    why: 'raw events go that no file has',
    file: 'src/archive/retention.ts',
    find: 'if (unmatched) {',
    replace: 'if (unmatched && unmatched.events === 0) {',
    test: [
      'test/archive/retention.test.ts',
      'raw events past retention > stay when a count on record is not that of the database',
    ],
  },
  {
    name: 'tools read past the file of settings',
    why: 'wafermon migrate changes another database than config check has looked at',
    file: 'src/commands/options.ts',
    find: 'return readToolConfig(tool, { env: process.env, file,',
    replace: 'return readToolConfig(tool, { env: process.env,',
    test: [
      'test/commands/settings.test.ts',
      'wafermon migrate > takes DATABASE_URL from the file of --config',
    ],
    built: true,
  },
  {
    name: 'rules between settings wait for the settings',
    why: 'an operator corrects one problem and meets the next at the next start',
    file: 'src/platform/settings/group.ts',
    find: 'when: () => true',
    replace: 'when: ({ issues }) => issues.length === 0',
    test: [
      'test/tools/config.test.ts',
      'config check > reports every problem, those between settings included',
    ],
  },
  {
    name: 'the text of an event decides about its size',
    why: 'the sidecar answers 200 to an event that the local API refuses',
    file: 'src/core/read-event.ts',
    find: 'most <= limits.maxEventBytes &&',
    replace: 'most > 0 &&',
    test: [
      'test/core/item-texts.test.ts',
      'the JSON of an event whose text is known > never decides about its size: numbers of C that grow',
    ],
  },
  {
    name: 'the text of a batch is cut wherever the name of a key stands',
    why: 'half of one event is stored as another',
    file: 'src/core/item-texts.ts',
    find: `if (items.length === 0 || text.includes('\\\\') || !items.every(beginsWithKey)) return undefined`,
    replace: 'if (items.length === 0) return undefined',
    test: [
      'test/core/item-texts.test.ts',
      'the texts of the items of an array > are not known: the name in another spelling',
    ],
  },
]
