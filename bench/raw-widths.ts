import { allOps, type AnyOp } from '../src/ir/registry.ts'

/**
 * Runs `work` while no operator asks for its channels in multiples. Only benchmarks want widths that are slower, so the
 * compiler has no option for it: the operators' own answers are replaced meanwhile.
 */
export const withoutWidthPlanning = async <A>(work: () => Promise<A>): Promise<A> => {
  const answers = allOps.map((op): readonly [AnyOp, AnyOp['channelMultiple']] => [op, op.channelMultiple])
  for (const [op] of answers) Object.assign(op, { channelMultiple: () => 1 })
  try {
    return await work()
  } finally {
    for (const [op, answer] of answers) Object.assign(op, { channelMultiple: answer })
  }
}
