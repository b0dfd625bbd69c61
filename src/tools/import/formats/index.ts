import type { Format } from '../format.ts'

/** The formats that are imported. Each is loaded when it is chosen. */
export const formats: readonly FormatEntry[] = [
  {
    name: 'sacct',
    about: 'Slurm accounting, written by sacct --parsable2',
    load: async () => (await import('./sacct.ts')).sacct,
  },
  {
    name: 'nextflow',
    about: 'the trace file of a Nextflow run',
    load: async () => (await import('./nextflow.ts')).nextflow,
  },
  {
    name: 'htcondor',
    about: 'an HTCondor job event log, or the jobstate.log of DAGMan and Pegasus',
    load: async () => (await import('./htcondor.ts')).htcondor,
  },
  {
    name: 'xes',
    about: 'an XES event log: a case becomes a job, its activities become subjobs',
    load: async () => (await import('./xes.ts')).xes,
  },
  {
    name: 'openlineage',
    about: 'OpenLineage run events, one JSON object per line',
    load: async () => (await import('./openlineage.ts')).openlineage,
  },
  {
    name: 'otlp-json',
    about: 'OpenTelemetry spans, as the collector writes them to a file',
    load: async () => (await import('./otlp-json.ts')).otlpJson,
  },
  {
    name: 'csv',
    about: 'any table with a row per job; --map names its columns',
    load: async () => (await import('./csv.ts')).csv,
  },
]

export type FormatEntry = {
  name: string
  /** Completes the sentence "FILE is ...". */
  about: string
  load: () => Promise<Format>
}
