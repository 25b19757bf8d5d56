/** What a machine has of all that chasec can use, for a terminal. */
import type { Failure } from '../../ir/failure.ts'
import type { ProviderReport, RuntimeReport } from '../../run/providers.ts'
import type { Style } from './style.ts'
import { renderTable } from './table.ts'
import { formatBytes, formatMilliseconds, plural } from '../units.ts'

/** One training backend, as trying it found it. */
export interface CheckedBackend {
  readonly name: string
  readonly about: string
  readonly available: boolean
  /** Whether a program stands in for the GPU: `auto` passes it over. */
  readonly software: boolean
  /** What computes, or why nothing does. */
  readonly found: string
  readonly install: string
}

/** One package that need not be installed. */
export interface CheckedPackage {
  readonly name: string
  readonly about: string
  readonly available: boolean
  readonly found: string
  readonly install: string
}

export interface Checkup {
  /** Version of chasec. */
  readonly version: string
  readonly node: { readonly version: string; readonly needed: string; readonly suitable: boolean }
  readonly machine: {
    readonly platform: string
    readonly architecture: string
    readonly cores: number
    readonly memoryBytes: number
  }
  /** What trains networks; `auto` is the backend taken where none is named. */
  readonly training: { readonly backends: ReadonlyArray<CheckedBackend>; readonly auto: string | null }
  /** What runs models: the packages ONNX Runtime comes in, the execution providers of the first usable one, or why none is. */
  readonly running: {
    readonly runtimes: ReadonlyArray<RuntimeReport>
    readonly providers: ReadonlyArray<ProviderReport>
    readonly auto: { readonly provider: string; readonly why: string } | null
    readonly error: Failure | null
  }
  readonly packages: ReadonlyArray<CheckedPackage>
}

/** Whether everything is there that chasec cannot do without: a Node that is new enough, and ONNX Runtime. */
export const isHealthy = ({ node, running }: Checkup): boolean =>
  node.suitable && running.providers.some(({ provider, usable }) => provider === 'cpu' && usable)

/** One line of the report, and what to do about it. */
interface Finding {
  /** Extras may be missing; what is broken is needed. */
  readonly state: 'works' | 'missing' | 'broken'
  readonly name: string
  readonly text: string
  readonly help: string
}

export const renderCheckup = (checkup: Checkup, style: Style): string => {
  const { training, running, packages } = checkup
  return [
    renderSection('This machine', machineFindings(checkup), '', style),
    renderSection(
      'Training: backends of TensorFlow.js',
      training.backends.map(backendFinding),
      autoBackend(checkup),
      style,
    ),
    renderSection('Running: ONNX Runtime and its providers', runningFindings(running), autoProvider(checkup), style),
    renderSection('Images to train on', packages.map(packageFinding), '', style),
    isHealthy(checkup)
      ? style.green('Everything that chasec needs is there; what is missing are extras.')
      : style.red('Something that chasec needs is missing.'),
  ].join('\n\n')
}

const machineFindings = ({ version, node, machine }: Checkup): ReadonlyArray<Finding> => {
  const { platform, architecture, cores, memoryBytes } = machine
  const system = `${platform} ${architecture}, ${plural(cores, 'core')}, ${formatBytes(memoryBytes)} of memory`
  return [
    { state: 'works', name: 'chasec', text: `${version} on ${system}`, help: '' },
    {
      state: node.suitable ? 'works' : 'broken',
      name: 'Node',
      text: `${node.version} (needed: ${node.needed})`,
      help: `Install Node ${node.needed}.`,
    },
  ]
}

const backendFinding = ({ name, about, available, software, found, install }: CheckedBackend): Finding => {
  const real = available && !software
  const works = software ? `works, but is a program in place of a GPU: ${found}` : found
  return {
    state: real ? 'works' : 'missing',
    name,
    text: `${about}: ${available ? works : found}`,
    help: available ? `To use it all the same, give --backend ${name}.` : install,
  }
}

const runningFindings = ({ runtimes, providers, error }: Checkup['running']): ReadonlyArray<Finding> =>
  error === null
    ? [...runtimes.map((one) => runtimeFinding(one, runtimes)), ...providers.map(providerFinding)]
    : [{ state: 'broken', name: error.subject, text: error.found, help: error.help }]

/** The first package that works is taken. */
const runtimeFinding = (
  { runtime, usable, version, milliseconds, reason, help }: RuntimeReport,
  all: ReadonlyArray<RuntimeReport>,
): Finding => {
  const taken = all.find((one) => one.usable)?.runtime === runtime ? '; taken' : ''
  const speed = `works; a run of a small model takes ${formatMilliseconds(milliseconds ?? 0)}`
  return {
    state: usable ? 'works' : 'missing',
    name: runtime,
    text: usable ? `${version ?? ''} ${speed}${taken}` : (reason ?? 'does not work'),
    help: help ?? '',
  }
}

const providerFinding = ({ provider, usable, milliseconds, reason, help }: ProviderReport): Finding => ({
  state: usable ? 'works' : provider === 'cpu' ? 'broken' : 'missing',
  name: provider,
  text: usable
    ? `works; a run of a small model takes ${formatMilliseconds(milliseconds ?? 0)}`
    : (reason ?? 'does not work'),
  help: help ?? '',
})

const packageFinding = ({ name, about, available, found, install }: CheckedPackage): Finding => ({
  state: available ? 'works' : 'missing',
  name,
  text: `${about}: ${found}`,
  help: install,
})

const autoBackend = ({ training: { auto } }: Checkup): string =>
  auto === null ? 'None works here: training needs one of them.' : `auto takes ${auto}.`

/** Why is only told where it is not plain from the lines above: when something works and is not taken. */
const autoProvider = ({ running: { auto, providers } }: Checkup): string => {
  if (auto === null) return ''
  const works = providers.some(({ provider, usable }) => usable && provider !== 'cpu' && provider !== auto.provider)
  return `auto takes ${auto.provider}${works ? `: ${auto.why}` : ''}.`
}

/** A title, a line for each finding with help under what does not work, and a conclusion. */
const renderSection = (title: string, findings: ReadonlyArray<Finding>, conclusion: string, style: Style): string => {
  const marks = { works: style.green('✓'), missing: style.yellow('–'), broken: style.red('✗') }
  const rows = findings.flatMap(({ state, name, text, help }) => [
    [`  ${marks[state]} ${name}`, text],
    ...(state === 'works' || help === '' ? [] : [['', style.dim(help)]]),
  ])
  const lines = renderTable([{ title: '' }, { title: '', fit: 'text' }], rows, style)
  return [style.bold(title), lines, ...(conclusion === '' ? [] : [`  ${conclusion}`])].join('\n')
}
