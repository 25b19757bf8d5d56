/** One golden case: a folder with the masked model, its IR before and after compiling, and the report. */
import { readFileSync } from 'node:fs'
import { type Graph } from '../src/ir/graph.ts'
import { print } from '../src/ir/print.ts'
import { noMasks } from '../src/masks/mask.ts'
import { compile, type CompileReport } from '../src/passes/compile.ts'
import { readModelBytes } from '../src/read/model.ts'
import { orThrow } from '../test/fuzz/differential.ts'

export interface Outcome {
  readonly graph: Graph
  readonly files: Readonly<Record<'before.ir' | 'after.ir' | 'report.json', string>>
}

export const folderOf = (name: string): URL => new URL(`${name}/`, import.meta.url)

export const readCase = (name: string): Graph =>
  orThrow(readModelBytes(new Uint8Array(readFileSync(new URL('model.onnx', folderOf(name))))))

/** What compiling the case gives now. Weights are printed as digests; names are those of the model. */
export const runCase = (graph: Graph): Outcome => {
  const compiled = orThrow(compile(graph, noMasks))
  return {
    graph: compiled.graph,
    files: {
      'before.ir': print(graph, { data: 'elide' }),
      'after.ir': print(compiled.graph, { data: 'elide' }),
      'report.json': `${JSON.stringify(brief(compiled.report), null, 1)}\n`,
    },
  }
}

/** The report with lists of channels on one line each. */
const brief = (report: CompileReport): unknown => ({
  ...report,
  layers: report.layers.map(({ inputs, outputs, macs, stays, alone: _alone, ...layer }) => ({
    ...layer,
    inputs: `${inputs.before} -> ${inputs.after}${inputs.kept === undefined ? '' : `: ${inputs.kept.join(' ')}`}`,
    outputs: `${outputs.before} -> ${outputs.after}${outputs.kept === undefined ? '' : `: ${outputs.kept.join(' ')}`}`,
    macs: `${macs.before} -> ${macs.after} (alone ${macs.alone})`,
    stays: stays.map((s) => `${s.side} ${s.channels.join(' ')}: ${s.reason.text}`),
  })),
})
