import type { Command } from 'commander'
import { Option } from 'commander'
import { endStatuses } from '../core/job.ts'
import { type ConfigFlags, jsonOption, readLocalApi, userName, withLocalApi } from './options.ts'

type CloseFlags = ConfigFlags & {
  url?: string
  where: string[]
  status: (typeof endStatuses)[number]
  reason: string
  by?: string
  dryRun?: boolean
  yes?: boolean
  json?: boolean
}

/** Adds `wafermon jobs close`. */
export function addJobs(program: Command): void {
  const jobs = program
    .command('jobs')
    .description('changes what a local API says of jobs whose programs say nothing')
  withLocalApi(jobs.command('close'))
    .description(
      'closes the jobs of a list that wait or run: ends them by an event; kept in the audit',
    )
    .requiredOption(
      '--where <filters...>',
      'which jobs: parameters of GET /v1/jobs as NAME=VALUE, such as app_name=apc flag=lost',
    )
    .requiredOption('--reason <text>', 'why; kept in the audit, and shown with the job')
    .addOption(
      new Option('--status <status>', 'how they ended').choices(endStatuses).default('unknown'),
    )
    .option('--by <name>', 'who closes them (default: the current system user)')
    .option('--dry-run', 'only show how many there are, and the first of them')
    .option('--yes', 'do not ask; needed where there is no terminal')
    .addOption(jsonOption())
    .action(close)
}

async function close(flags: CloseFlags): Promise<void> {
  const { closeJobs } = await import('../tools/close-jobs.ts')
  const {
    where,
    status,
    reason,
    by = userName(),
    dryRun = false,
    yes = false,
    json = false,
  } = flags
  const api = await readLocalApi('jobs', flags)
  const done = await closeJobs(api, { where, status, reason, by, dryRun, yes, json })
  if (!done) process.exitCode = 1
}
