import { Command } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../ir/failure.ts'
import type { Graph } from '../../ir/graph.ts'
import type { Target } from '../../passes/target.ts'
import { printType } from '../../ir/type.ts'
import { inspect } from '../../passes/inspect.ts'
import { observers } from '../../passes/pass.ts'
import { compactReport } from '../../report/compile-json.ts'
import { compactInspection, renderInspection } from '../../report/terminal/inspect-table.ts'
import type { Bindings } from '../../run/inputs.ts'
import { debugObservers } from '../debug.ts'
import {
  type CommonFlags,
  jsonOption,
  type MaskFlags,
  maskMapOption,
  masksOption,
  progressOption,
  quietOption,
  shapeOption,
  targetOption,
  weightsOption,
  whyOption,
} from '../flags.ts'
import { costsOption, readCosts } from '../costs.ts'
import { done, type Outcome } from '../outcome.ts'
import { progressOn } from '../progress.ts'
import { bindSizes } from '../sizes.ts'
import { readInputs } from '../sources.ts'
import type { RunCommand } from '../run-command.ts'
import { existing } from '../wrong-argument.ts'
import type { Terminal } from '../terminal.ts'
import { explainName, renderFates, watchElimination } from '../why.ts'

interface InspectFlags extends CommonFlags, MaskFlags {
  readonly target: Target
  readonly costs?: string
  readonly shape: Bindings
  readonly why?: string
}

const examples = `
Examples:
  $ chasec inspect resnet50.onnx --masks masks.safetensors
      Per layer: density, dead and constant channels, how channel magnitudes are spread, multiplications, and what
      compiling would leave.

  $ chasec inspect model.onnx --masks zeros --json > facts.json
      The same for machines, with channel indices and scores.

  $ chasec inspect model.onnx --masks zeros --why conv1.weight
      Also tells why channels of one weight's layer would stay.

Nothing is run and nothing is written.`

export const inspectCommand = (run: RunCommand): Command =>
  new Command('inspect')
    .description('Shows what a model and its masks hold, layer by layer, and what compiling would leave of it.')
    .argument('<model>', 'ONNX file', existing('a model'))
    .addOption(masksOption())
    .addOption(weightsOption())
    .addOption(maskMapOption())
    .addOption(targetOption())
    .addOption(costsOption())
    .addOption(shapeOption())
    .addOption(whyOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addOption(progressOption())
    .addHelpText('after', examples)
    .action((model: string, flags: InspectFlags) => run(flags, (terminal) => inspectModel(terminal, model, flags)))

const inspectModel = async (
  terminal: Terminal,
  model: string,
  flags: InspectFlags,
): Promise<E.Either<Failure, Outcome>> => {
  const say = progressOn(terminal, flags.progress === true)
  const inputs = await readInputs(model, flags, say)
  if (E.isLeft(inputs)) return inputs
  const { graph, masks, matching } = inputs.right
  const sizes = bindSizes(graph, flags.shape)
  if (E.isLeft(sizes)) return sizes
  const { target } = flags
  const costs = readCosts(flags, terminal.environment)
  if (E.isLeft(costs)) return costs
  const why = flags.why ?? terminal.environment.why
  const watch = watchElimination()
  say('analysing')
  const observer = observers(watch.observer, ...debugObservers(terminal))
  const found = inspect(graph, masks, {
    target,
    ...(costs.right === undefined ? {} : { costs: costs.right }),
    sizes: sizes.right,
    observer,
  })
  if (E.isLeft(found)) return found
  const fates = why === undefined ? E.right(undefined) : explainName(watch.seen, why, target)
  if (E.isLeft(fates)) return fates
  const explained = why === undefined || fates.right === undefined ? '' : renderFates(why, fates.right)
  const text = [renderInterface(graph), renderInspection(found.right, terminal.style), explained]
  return E.right(
    done(text.filter((block) => block !== '').join('\n\n'), {
      inputs: describeValues(graph, 'inputs'),
      outputs: describeValues(graph, 'outputs'),
      ...(matching === undefined ? {} : { matching }),
      inspection: compactInspection(found.right),
      ...(fates.right === undefined ? {} : { why: fates.right }),
      report: compactReport(found.right.report),
    }),
  )
}

interface Described {
  readonly name: string
  readonly type: string
}

const describeValues = (graph: Graph, side: 'inputs' | 'outputs'): ReadonlyArray<Described> =>
  graph[side].map(({ name, type }) => ({ name, type: printType(type) }))

const renderInterface = (graph: Graph): string => {
  const line = (side: 'inputs' | 'outputs'): string =>
    `${side}: ${describeValues(graph, side)
      .map(({ name, type }) => `${name} ${type}`)
      .join(', ')}`
  return `${line('inputs')}\n${line('outputs')}`
}
