/** The simulated fab: its tools, the programs that use them, and how these fail. */

/** Kind of an error, and its text; `{2-9}` is a number of that range. */
export type ErrorText = readonly [type: string, text: string]

export type App = {
  name: string
  version: string
  /** Median time of a job, in seconds. */
  medianS: number
  /** Spread of it: sigma of a lognormal. */
  sigma: number
  /** Share of jobs that fail while the tool works. */
  failure: number
  errors: readonly ErrorText[]
  /** Its subjobs: each wafer, or these steps one after the other. */
  parts?: 'wafers' | readonly string[]
  /** A figure measured per part: name, target, spread. */
  measure?: readonly [name: string, target: number, spread: number]
  /** The server that it needs; while that is down, its jobs fail. */
  server?: string
  /** CPU seconds per second, and peak memory in MiB. */
  cpu: number
  memMb: number
}

/** Tools of a kind, the program that runs with them, and the recipes they know. */
export type Family = {
  tools: readonly string[]
  app: App
  recipes: readonly string[]
  /** The measurement after it. */
  metrology: string
}

const numbered = (family: string, n: number) =>
  Array.from({ length: n }, (_, i) => `${family}-${String(i + 1).padStart(2, '0')}`)

/** Every step begins with this. */
export const download: App = {
  name: 'recipe-download',
  version: '2.0.3',
  medianS: 8,
  sigma: 0.4,
  failure: 0.03,
  errors: [
    ['ChecksumMismatch', 'recipe body differs: host {4100-9900}, tool {1100-3900}'],
    ['SecsTimeout', 'no S7F4 within T3 of 45 s'],
    ['RecipeRefused', 'tool answers ACKC7 = {1-5}: recipe not accepted'],
  ],
  server: 'RMS-1',
  cpu: 0.2,
  memMb: 90,
}

/** The process tools; each step uses one of these. */
export const families: readonly Family[] = [
  {
    tools: numbered('SCN', 5),
    recipes: ['GATE-LIT-193I v22', 'M1-LIT-193I v14', 'STI-LIT-248 v9'],
    metrology: 'OVL-21PT v3',
    app: {
      name: 'litho-apc',
      version: '4.2.0',
      medianS: 14,
      sigma: 0.3,
      failure: 0.025,
      errors: [
        ['ModelNotConverged', 'APC model not converged after {6-12} runs'],
        ['FeedbackMissing', 'no overlay feedback for layer M1 in the last {9-30} lots'],
        ['DoseOutOfRange', 'dose offset {4-9} % is over the limit of 3 %'],
      ],
      parts: 'wafers',
      measure: ['overlay_nm', 2.1, 0.6],
      cpu: 0.3,
      memMb: 240,
    },
  },
  {
    tools: numbered('ETX', 6),
    recipes: ['GATE-ETCH-38 v3', 'STI-ETCH v5', 'M1-ETCH-45 v8'],
    metrology: 'CD-GATE-9PT v6',
    app: {
      name: 'etch-fdc',
      version: '2.7.4',
      medianS: 45,
      sigma: 0.3,
      failure: 0.03,
      errors: [
        ['PressureOutOfBand', 'chamber pressure out of band for {5-20} s'],
        ['ReflectedPower', 'RF reflected power {41-90} W, limit 40 W'],
        ['EndpointMissed', 'no endpoint within {48-60} s'],
      ],
      parts: 'wafers',
      measure: ['endpoint_s', 31, 1.1],
      cpu: 0.8,
      memMb: 1700,
    },
  },
  {
    tools: numbered('FRN', 7),
    recipes: ['GOX-32A v4', 'NIT-140 v2', 'ANN-1050 v7'],
    metrology: 'THK-STI-49PT v2',
    app: {
      name: 'furnace-log',
      version: '0.9.8',
      medianS: 60,
      sigma: 0.2,
      failure: 0.015,
      errors: [
        ['ThermocoupleDisagrees', 'thermocouple {1-5} disagrees by {4-9} K'],
        ['RampTooSlow', 'ramp-up at {2-4} K/min, recipe wants 5'],
      ],
      parts: ['load', 'ramp-up', 'process', 'ramp-down', 'unload'],
      measure: ['temperature_c', 912, 4],
      cpu: 0.1,
      memMb: 70,
    },
  },
  {
    tools: numbered('CMP', 3),
    recipes: ['STI-CMP v7', 'W-CMP v3', 'CU-CMP-2 v11'],
    metrology: 'THK-STI-49PT v2',
    app: {
      name: 'cmp-r2r',
      version: '1.4.2',
      medianS: 18,
      sigma: 0.3,
      failure: 0.02,
      errors: [
        ['RemovalRateLow', 'removal rate {1850-2080} is below the limit of 2100'],
        ['PadLife', 'pad at {101-118} % of its life'],
      ],
      parts: 'wafers',
      measure: ['thickness_nm', 482, 6],
      cpu: 0.5,
      memMb: 140,
    },
  },
]

export const metrologyTools = numbered('CDS', 4)
export const metrology: App = {
  name: 'metrology-upload',
  version: '3.8.1',
  medianS: 40,
  sigma: 0.5,
  failure: 0.03,
  errors: [
    ['PatternNotFound', 'site {1-9} has no reading: pattern not found'],
    ['StageNotSettled', 'stage did not settle within 5 s at site {1-9}'],
  ],
  parts: 'wafers',
  measure: ['cd_mean_nm', 38.1, 0.25],
  server: 'MDB-2',
  cpu: 0.6,
  memMb: 900,
}

export const moveTools: readonly string[] = ['AMHS-B1', 'AMHS-B2', 'STK-11', 'STK-12']
export const move: App = {
  name: 'lot-move',
  version: '5.1.0',
  medianS: 20,
  sigma: 0.6,
  failure: 0.01,
  errors: [
    ['VehicleBlocked', 'vehicle {11-44} blocked at node {100-180}'],
    ['PortOccupied', 'load port {1-4} is occupied'],
  ],
  server: 'MCS-1',
  cpu: 0.05,
  memMb: 45,
}

export const mapTools = numbered('WAT', 2)
export const mapRecipes: readonly string[] = ['WAT-PCM v11', 'DEFECT-M1 v8']
/** Every lot ends with this. */
export const mapMerge: App = {
  name: 'wafer-map-merge',
  version: '1.12.0',
  medianS: 25,
  sigma: 0.5,
  failure: 0.03,
  errors: [
    ['MapSizeWrong', 'map has {90-97} rows, expected 98'],
    ['MapMissing', 'no map of the probe step for slot {1-25}'],
  ],
  parts: 'wafers',
  measure: ['yield_pct', 91.5, 2.5],
  server: 'YMS-1',
  cpu: 0.7,
  memMb: 1500,
}

/** Reasons for canceling a job. */
export const cancelReasons: readonly string[] = [
  'lot on hold: SPC rule 1 violated',
  'held by engineering',
  'stopped by the operator',
  'tool reserved for a hot lot',
]
