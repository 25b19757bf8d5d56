import * as fc from 'fast-check'
import type { Target } from '../../src/passes/target.ts'
import { compile } from '../../src/passes/compile.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { uniforms } from '../inflate.ts'
import { compareCompiled, orThrow } from './differential.ts'
import { type MaskKind, maskKinds, randomMasks } from './masks.ts'
import { buildProgram, type Program, programs } from './program.ts'

export interface ProgramCase {
  readonly program: Program
  readonly kind: MaskKind
  readonly target: Target
}

export const programCases: fc.Arbitrary<ProgramCase> = fc.record({
  program: programs,
  kind: fc.constantFrom<MaskKind>(...maskKinds, 'rows', 'both', 'mixed'),
  target: fc.constantFrom<Target>('cpu', 'cuda', 'webgpu'),
})

/** Float32 rounding through some ten layers stays well below this; a wrong channel does not. */
const tolerance = 2e-5

/**
 * Throws where the compiled program computes something else, or does not compile to itself. Neither is optimised by ONNX
 * Runtime, whose fusions are not all exact: 1.30 moves the zeros of a Pad into a MaxPool, which pads with -infinity.
 */
export const checkProgram = async ({
  program,
  kind,
  target,
}: ProgramCase): Promise<{ readonly worst: number; readonly smaller: boolean }> => {
  const graph = buildProgram(program)
  if (graph.nodes.length === 0) return { worst: 0, smaller: false }
  const masks = randomMasks(graph, kind, uniforms(program.seed + 2))
  const { compiled, worst, output } = await compareCompiled(graph, masks, { target, floor: 1e-2, level: 'disabled' })
  if (worst > tolerance) throw new Error(`output ${output} differs by ${worst}`)
  const again = orThrow(compile(compiled.graph, noMasks, { target }))
  if (again.graph !== compiled.graph) throw new Error('the compiled graph does not compile to itself')
  return { worst, smaller: compiled.report.after.parameters < compiled.report.before.parameters }
}
