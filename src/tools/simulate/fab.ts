/** The fab that is simulated: its programs, what they work on, and how they fail. */
export type App = {
  name: string
  version: string
  /** Median time of a job, in seconds. */
  medianS: number
  /** Spread of it: sigma of a lognormal. */
  sigma: number
  /** Tools it runs for. */
  tools: readonly string[]
  recipes: readonly string[]
  /** Whether it reports a subjob per wafer. */
  wafers: boolean
  /** Share of jobs that fail while the tool is well. */
  failure: number
  errors: readonly string[]
  /** CPU seconds per second, and peak memory in MiB. */
  cpu: number
  memMb: number
  /** A figure measured per wafer: name, target, spread. */
  measure?: readonly [name: string, target: number, spread: number]
  weight: number
}

const numbered = (family: string, n: number) =>
  Array.from({ length: n }, (_, i) => `${family}-${String(i + 1).padStart(2, '0')}`)

export const apps: readonly App[] = [
  {
    name: 'litho-apc',
    version: '4.2.0',
    medianS: 14,
    sigma: 0.3,
    tools: numbered('SCN', 5),
    recipes: ['GATE-LIT-193I v22', 'M1-LIT-193I v14', 'STI-LIT-248 v9'],
    wafers: true,
    failure: 0.02,
    errors: ['APC model not converged after 8 runs', 'overlay feedback missing for layer M1'],
    cpu: 0.3,
    memMb: 240,
    measure: ['overlay_nm', 2.1, 0.6],
    weight: 3,
  },
  {
    name: 'recipe-download',
    version: '2.0.3',
    medianS: 8,
    sigma: 0.4,
    tools: [...numbered('SCN', 5), ...numbered('ETX', 6), ...numbered('FRN', 7)],
    recipes: ['GATE-ETCH-38 v3', 'M1-LIT-193I v14', 'GOX-32A v4'],
    wafers: false,
    failure: 0.05,
    errors: ['recipe checksum mismatch: host 4f1c, tool 90ab', 'SECS T3 timeout after 45 s'],
    cpu: 0.2,
    memMb: 90,
    weight: 5,
  },
  {
    name: 'metrology-upload',
    version: '3.8.1',
    medianS: 40,
    sigma: 0.5,
    tools: numbered('CDS', 4),
    recipes: ['CD-GATE-9PT v6', 'THK-STI-49PT v2'],
    wafers: true,
    failure: 0.03,
    errors: ['site 7 of 9 has no reading: pattern not found', 'stage did not settle within 5 s'],
    cpu: 0.6,
    memMb: 900,
    measure: ['cd_mean_nm', 38.1, 0.25],
    weight: 3,
  },
  {
    name: 'wafer-map-merge',
    version: '1.12.0',
    medianS: 25,
    sigma: 0.5,
    tools: numbered('WAT', 2),
    recipes: ['WAT-PCM v11', 'DEFECT-M1 v8'],
    wafers: true,
    failure: 0.02,
    errors: ['map of wafer 11 has 97 rows, expected 98'],
    cpu: 0.7,
    memMb: 1500,
    measure: ['yield_pct', 91.5, 2.5],
    weight: 2,
  },
  {
    name: 'lot-move',
    version: '5.1.0',
    medianS: 20,
    sigma: 0.6,
    tools: ['AMHS-B1', 'AMHS-B2', 'STK-11', 'STK-12'],
    recipes: ['BAY4 to BAY7', 'BAY7 to BAY2'],
    wafers: false,
    failure: 0.01,
    errors: ['vehicle 31 blocked at node 118'],
    cpu: 0.05,
    memMb: 45,
    weight: 5,
  },
  {
    name: 'etch-fdc',
    version: '2.7.4',
    medianS: 45,
    sigma: 0.3,
    tools: numbered('ETX', 6),
    recipes: ['GATE-ETCH-38 v3', 'STI-ETCH v5'],
    wafers: true,
    failure: 0.03,
    errors: ['chamber C pressure out of band for 12 s', 'RF reflected power over 40 W'],
    cpu: 0.8,
    memMb: 1700,
    measure: ['endpoint_s', 31.0, 1.1],
    weight: 3,
  },
  {
    name: 'cmp-r2r',
    version: '1.4.2',
    medianS: 18,
    sigma: 0.3,
    tools: numbered('CMP', 3),
    recipes: ['STI-CMP v7', 'W-CMP v3'],
    wafers: true,
    failure: 0.02,
    errors: ['removal rate below limit: 1,940 of 2,100'],
    cpu: 0.5,
    memMb: 140,
    measure: ['thickness_nm', 482, 6],
    weight: 2,
  },
  {
    name: 'furnace-log',
    version: '0.9.8',
    medianS: 60,
    sigma: 0.2,
    tools: numbered('FRN', 7),
    recipes: ['GOX-32A v4', 'NIT-140 v2'],
    wafers: false,
    failure: 0.01,
    errors: ['thermocouple 3 disagrees by 6 K'],
    cpu: 0.1,
    memMb: 70,
    weight: 2,
  },
]
