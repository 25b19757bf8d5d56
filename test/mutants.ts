/**
 * `npm run mutants`: takes one guarded condition out of a copy of the sources at a time and runs the tests that should
 * notice. A mutant that passes them is a guard that no test holds. `npm run mutants -- NAME` tries those whose file or tests
 * are called like it.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Mutant {
  readonly guard: string
  readonly file: string
  readonly from: string
  readonly to: string
  readonly tests: string
}

const elimination = 'test/passes/channel-elimination.test.ts'
const numbers = 'test/passes/numbers.test.ts'
const streams = 'test/passes/normalised-streams.test.ts'

const constants = 'test/passes/propagate-constants.test.ts'

const parallel = 'test/passes/fuse-parallel.test.ts'
const merging = 'test/passes/merge-channels.test.ts'

const attention = 'test/passes/attention.test.ts'
const recurrence = 'test/passes/recurrence.test.ts'
const blocks = 'test/passes/blocks-of-bits.test.ts'
const heldWeights = 'test/masks/held-weights.test.ts'
const opsets = 'test/passes/opsets.test.ts'
const computed = 'test/passes/computed-weights.test.ts'
const ranks = 'test/passes/split-rank.test.ts'

const joining = 'test/passes/join-attention.test.ts'
const cuts = 'test/passes/cuts.test.ts'

const mutants: ReadonlyArray<Mutant> = [
  {
    guard: 'what a loop carries is behind it of the sizes at first where these stay',
    file: 'src/subgraphs.ts',
    from: 'next !== undefined && sameType(first, next)',
    to: 'next !== undefined',
    tests: 'test/subgraphs.test.ts',
  },
  {
    guard: 'directions whose rows are held in scales of their own lose the same units',
    file: 'src/ir/families/recurrent-mixing.ts',
    from: 'if (ways === 1 || isHeld) {',
    to: 'if (ways === 1) {',
    tests: recurrence,
  },
  {
    guard: 'units of one direction stay where first states do not tell them apart',
    file: 'src/passes/channel-elimination/joints.ts',
    from: 'isBound: follows.length < read.length',
    to: 'isBound: follows.length > read.length',
    tests: recurrence,
  },
  {
    guard: 'first states are of a bundle where their joint axis is of the same axes',
    file: 'src/passes/channel-elimination/mixing.ts',
    from: 'isOwn || (joint !== undefined && isJointOf(joint, jointOf(graph, value)))',
    to: 'isOwn || joint !== undefined',
    tests: recurrence,
  },
  {
    guard: 'what is told apart along a joint axis is told apart along those that it is of',
    file: 'src/passes/channel-elimination/tracking.ts',
    from: 'if (own !== undefined && id !== undefined) families.unite(own, id)',
    to: '',
    tests: recurrence,
  },
  {
    guard: 'a unit of one direction that has to be computed holds that unit only',
    file: 'src/passes/channel-elimination/liveness.ts',
    from: '...(places ?? [])]) {',
    to: ']) {',
    tests: recurrence,
  },
  {
    guard: 'a large model is not compiled again and again without being asked for',
    file: 'src/passes/compile.ts',
    from: "if (options.advise === 'small' && !isSmallToTry({ nodes, bytes }))",
    to: 'if (nodes < 0)',
    tests: 'test/passes/advise.test.ts',
  },
  {
    guard: 'only what hides keys behind a query is causal',
    file: 'src/passes/join-attention.ts',
    from: 'if (Boolean(flags[i]) !== i % columns <= Math.floor(i / columns)) return false',
    to: '',
    tests: joining,
  },
  {
    guard: 'what is hidden is hidden for good',
    file: 'src/passes/join-attention.ts',
    from: 'if (numberIn(graph, hidden.inputs[2]) !== lowest) return undefined',
    to: '',
    tests: joining,
  },
  {
    guard: 'heads, places and their sizes are in order',
    file: 'src/passes/join-attention.ts',
    from: 'isInOrder([...heads.flat(), ...size], ...channels) &&',
    to: '',
    tests: joining,
  },
  {
    guard: 'weights are over keys',
    file: 'src/passes/join-attention.ts',
    from: 'if (softmax.attrs.axis !== -1 && softmax.attrs.axis !== shape.length - 1) return undefined',
    to: '',
    tests: joining,
  },
  {
    guard: 'a mask is along the axes that the operator takes it for',
    file: 'src/passes/join-attention.ts',
    from: 'return isMask && sameShape(shapeOf(graph.types.get(name)), wide) ? node.inputs[0] : undefined',
    to: 'return isMask ? node.inputs[0] : undefined',
    tests: joining,
  },
  {
    guard: 'what is selected goes with what it is selected from, but for constants that are put back',
    file: 'src/passes/channel-elimination/rules.ts',
    from: 'if (gone.input && !gone.output && !isRestored(i)) {',
    to: 'if (gone.input && !gone.output && false) {',
    tests: cuts,
  },
  {
    guard: 'only constants of one number are put back',
    file: 'src/passes/channel-elimination/rules.ts',
    from: 'Number.isFinite(constants?.[i] ?? NaN)',
    to: 'constants !== undefined || i >= 0',
    tests: cuts,
  },
  {
    guard: 'a cut that is not taken ties both sides',
    file: 'src/passes/channel-elimination/rules.ts',
    from: 'if (gone.output && !gone.input && found.isWhole && !isTaken) {',
    to: 'if (false) {',
    tests: cuts,
  },
  {
    guard: 'constants are put back where Pad takes inputs',
    file: 'src/ir/ops/gather.ts',
    from: 'ctx.opset >= firstPad && isPadded(ctx.inputs[0])',
    to: 'isPadded(ctx.inputs[0])',
    tests: cuts,
  },
  {
    guard: 'nothing is selected in front of what selects',
    file: 'src/passes/channel-elimination/cuts.ts',
    from: '(selects !== undefined || (from?.onto === false && into === undefined))',
    to: 'false',
    tests: cuts,
  },
  {
    guard: 'of a product only what is zero on one side goes',
    file: 'src/passes/channel-elimination/rules.ts',
    from: 'if (goes(value, axis, k) && !isZero(k))',
    to: 'if (goes(value, axis, k) && false)',
    tests: attention,
  },
  {
    guard: 'heads keep equally many places',
    file: 'src/passes/channel-elimination/rules.ts',
    from: 'for (const p of alone.slice(0, gone.length - least))',
    to: 'for (const p of alone.slice(0, 0))',
    tests: attention,
  },
  {
    guard: 'what goes only with its head or its place comes back with them',
    file: 'src/passes/channel-elimination/draft.ts',
    from: 'if (!isCovered && covers.isBound(cell))',
    to: 'if (!isCovered && covers.isBound(cell) && cell < 0)',
    tests: attention,
  },
  {
    guard: 'what covers a channel that stays stays',
    file: 'src/passes/channel-elimination/draft.ts',
    from: 'for (const cell of covers.cellsOf(at)) waiting.push(...covers.waysOf(cell))',
    to: '',
    tests: attention,
  },
  {
    guard: 'places that a constant tells apart, but not heads, go in all heads',
    file: 'src/passes/channel-elimination/joints.ts',
    from: 'if (link.outputAxis === inner) isBound = true',
    to: '',
    tests: attention,
  },
  {
    guard: 'only weights that add up to 1 along what is summed leave a constant as it is',
    file: 'src/ir/ops/mat-mul.ts',
    from: 'ctx.sumsToOne?.(0) === left - 1',
    to: 'left > 0',
    tests: attention,
  },
  {
    guard: 'a part is selected before a reshape only where nothing else reads the rest',
    file: 'src/passes/hoist-selection.ts',
    from: ' || found.includes(undefined)',
    to: '',
    tests: attention,
  },
  {
    guard: 'a layer of groups is not split',
    file: 'src/passes/split-rank.ts',
    from: 'c.groups !== 1 || ',
    to: '',
    tests: ranks,
  },
  {
    guard: 'a scaled product is not split',
    file: 'src/passes/split-rank.ts',
    from: 'c.scale !== 1 || ',
    to: '',
    tests: ranks,
  },
  {
    guard: 'an operand that is read transposed is not split',
    file: 'src/passes/split-rank.ts',
    from: 'c.axis !== c.outputAxis || ',
    to: '',
    tests: ranks,
  },
  {
    guard: 'a layer is split where that takes less',
    file: 'src/passes/split-rank.ts',
    from: 'if ((before * left) / all + further >= before) continue',
    to: '',
    tests: ranks,
  },
  {
    guard: 'a float that is written and read has its price',
    file: 'src/passes/split-rank.ts',
    from: '(all + perElement)',
    to: 'all',
    tests: ranks,
  },
  {
    guard: 'a row is a multiple within the last places',
    file: 'src/passes/split-rank.ts',
    from: 'if (low > high) return undefined',
    to: '',
    tests: ranks,
  },
  {
    guard: 'a multiple has the signs and the zeros of its base',
    file: 'src/passes/split-rank.ts',
    from: '!Number.isFinite(quotient) || quotient === 0 || (sign !== 0 && Math.sign(quotient) !== sign)',
    to: 'Number.isNaN(quotient)',
    tests: ranks,
  },
  {
    guard: 'a factor is a normal number, at most 1',
    file: 'src/passes/split-rank.ts',
    from: 'isPlain(factor, precision) && Math.abs(factor) <= 1',
    to: 'true',
    tests: ranks,
  },
  {
    guard: 'a channel of a computed weight goes where it is zero in all groups',
    file: 'src/passes/channel-elimination/slice-readers.ts',
    from: 'if (value !== 0) isZero[i % period] = 0',
    to: 'if (value !== 0 && i < period) isZero[i % period] = 0',
    tests: computed,
  },
  {
    guard: 'the channels that all groups of a computed weight have are one',
    file: 'src/passes/channel-elimination/relate.ts',
    from: '(first?.start ?? 0) + (i % period), start + i',
    to: '(first?.start ?? 0) + (i % size), start + i',
    tests: computed,
  },
  {
    guard: 'groups of a computed weight keep equally many outputs',
    file: 'src/ir/families/convolution.ts',
    from: '{ ...link, from: ofGroup, into: ofGroup }',
    to: 'link',
    tests: computed,
  },
  {
    guard: 'what a computed weight of zeros leaves is the bias',
    file: 'src/ir/families/convolution.ts',
    from: 'ctx.node.inputs[2] ? given : 0',
    to: '0 * (typeof given === "number" ? given : 0)',
    tests: computed,
  },
  {
    guard: 'of a sum over several axes only zeros leave',
    file: 'src/ir/families/reduction.ts',
    from: 'if (share === 0 || axes.length > 1) return share === 0 && c === 0',
    to: 'if (share === 0) return c === 0',
    tests: computed,
  },
  {
    guard: 'of a mean over several axes nothing leaves',
    file: 'src/ir/families/reduction.ts',
    from: ' || (isMean && axes.length > 1)',
    to: '',
    tests: computed,
  },
  {
    guard: 'parts that nothing reads are not copied',
    file: 'src/passes/hoist-selection.ts',
    from: 'if (sizes.reduce((sum, size) => sum + size, 0) < whole)',
    to: 'if (whole < 0)',
    tests: attention,
  },
  {
    guard: 'rewrites leave what the opset has no operator for',
    file: 'src/passes/rewrite.ts',
    from: '      if (!patch.nodes.every((made) => isOfOpset(made, graph.opsets))) continue\n',
    to: '',
    tests: opsets,
  },
  {
    guard: 'before Add broadcasts there is no bias behind a product of matrices',
    file: 'src/ir/ops/mat-mul.ts',
    from: 'ctx.opset < Add.versions[0] ? `',
    to: 'ctx.opset < 0 ? `',
    tests: opsets,
  },
  {
    guard: 'before Add broadcasts nothing is added at borders',
    file: 'src/ir/families/convolution.ts',
    from: 'ctx.opset < Add.versions[0] ? undefined',
    to: 'ctx.opset < 0 ? undefined',
    tests: opsets,
  },
  {
    guard: 'before Add broadcasts nothing that is summed up leaves',
    file: 'src/ir/families/reduction.ts',
    from: 'ctx.opset < Add.versions[0]',
    to: 'ctx.opset < 0',
    tests: opsets,
  },
  {
    guard: 'reshapes are joined only where nothing else reads what is between',
    file: 'src/passes/fuse-reshape.ts',
    from: 'onlyReader(graph, value) === node ? soleProducer',
    to: 'value !== "" ? soleProducer',
    tests: 'test/passes/fuse-reshape.test.ts',
  },
  {
    guard: 'no more channels are told apart than the size of a model explains',
    file: 'src/passes/channel-elimination/tracking.ts',
    from: 'if (channels <= limit) return undefined',
    to: 'if (channels <= 2 ** 10 * limit) return undefined',
    tests: elimination,
  },
  {
    guard: 'parts of axes are told apart only while the size of a model allows it',
    file: 'src/passes/channel-elimination/tracking.ts',
    from: '(totals[id] ?? 0) <= left',
    to: '(totals[id] ?? 0) <= 2 ** 20',
    tests: elimination,
  },
  {
    guard: 'a value has a size that a value can have, also where it is known only while folding',
    file: 'src/ir/interpret.ts',
    from: 'typesOf(node, ctx)',
    to: 'opOf(node).inferTypes(ctx)',
    tests: 'test/passes/hostile.test.ts',
  },
  {
    guard: 'no shape has as many axes as a file says',
    file: 'src/ir/infer.ts',
    from: 'isStatic(rank) && rank <= rankLimit',
    to: 'isStatic(rank) && rank <= Infinity * rankLimit',
    tests: 'test/passes/hostile.test.ts',
  },
  {
    guard: 'a node that contradicts what was known of its operands is a bug, not opaque',
    file: 'src/ir/graph.ts',
    from: 'was === undefined || is === undefined ? was === is : !contradict(was, is)',
    to: 'was === undefined || is === undefined ? was === is : !contradict(was, was)',
    tests: 'test/ir/graph.test.ts',
  },
  {
    guard: 'a known value is the same at every index of a batch only where links say so',
    file: 'src/passes/approximate.ts',
    from: 'return new Set(inputAxes).size === from?.size && new Set(outputAxes).size === to?.size',
    to: 'return inputAxes.length + outputAxes.length >= 0 && (from?.size ?? 0) + (to?.size ?? 0) >= 0',
    tests: constants,
  },
  {
    guard: 'axes of different symbols are not one, whatever they are bound to',
    file: 'src/passes/approximate.ts',
    from: 'from.get(link.inputAxis) === to?.get(link.outputAxis)',
    to: 'to?.has(link.outputAxis) === true',
    tests: constants,
  },
  {
    guard: 'a value whose rounding errors are large against it is not known',
    file: 'src/passes/approximate.ts',
    from: 'isAccurate(precision, own, error) ? error : Infinity',
    to: 'isAccurate(precision, own, 0 * error) ? error : Infinity',
    tests: constants,
  },
  {
    guard: 'a value with an element in the tail of a function is not known',
    file: 'src/passes/approximate.ts',
    from: 'if (isTail(output.dtype, values[at] ?? 0, sizes[at] ?? 0)) all[index] = Infinity',
    to: 'if (isTail(output.dtype, values[at] ?? 0, sizes[at] ?? 0)) all[index] = 0',
    tests: constants,
  },
  {
    guard: 'what a function is off by counts in what follows',
    file: 'src/passes/approximate.ts',
    from: 'change + unit * Math.sqrt',
    to: 'change + 0 * unit * Math.sqrt',
    tests: constants,
  },
  {
    guard: 'where squares leave their type, norms are not known',
    file: 'src/passes/approximate.ts',
    from: 'opOf(node).squares === true && leaveSquares(inputs, errors)',
    to: 'opOf(node).squares !== true && leaveSquares(inputs, errors)',
    tests: constants,
  },
  {
    guard: 'integers are known only where they are certain',
    file: 'src/passes/approximate.ts',
    from: '(size === 0 ? 0 : Infinity)',
    to: '(size === 0 ? 0 : 1)',
    tests: constants,
  },
  {
    guard: 'known values stay within their budget of work',
    file: 'src/passes/known-values.ts',
    from: 'plan !== undefined && plan.work <= workLeft',
    to: 'plan !== undefined',
    tests: constants,
  },
  {
    guard: 'known values take no longer than the size of a model allows',
    file: 'src/passes/known-values.ts',
    from: 'evaluateKnown(graph, Math.min(workLimit, workFor(graph)), memoryLimit)',
    to: 'evaluateKnown(graph, Math.max(workLimit, workFor(graph)), memoryLimit)',
    tests: constants,
  },
  {
    guard: 'known values stay within their budget of memory',
    file: 'src/passes/known-values.ts',
    from: 'value === undefined || bytes > memoryLeft',
    to: 'value === undefined',
    tests: constants,
  },
  {
    guard: 'a node of which the output is not known is not left with constants alone',
    file: 'src/passes/propagate-constants.ts',
    from: 'op.evaluate === undefined || node.inputs.some(isRead) ? ways',
    to: 'op.evaluate !== isRead ? ways',
    tests: constants,
  },
  {
    guard: 'what is expanded costs less than what it makes superfluous',
    file: 'src/passes/propagate-constants.ts',
    from: 'if (cost > price) return undefined',
    to: 'if (cost >= price) return undefined',
    tests: constants,
  },
  {
    guard: 'a constant that a value becomes is small',
    file: 'src/passes/propagate-constants.ts',
    from: 'bytesOf(graph, known, value, way) <= limit',
    to: 'bytesOf(graph, known, value, way) <= Math.max(limit, Infinity)',
    tests: constants,
  },
  {
    guard: 'windows that read different numbers are computed each',
    file: 'src/ir/families/window.ts',
    from: 'if (xs[at] === xs[at - inner]) continue',
    to: 'if (xs.length > 0) continue',
    tests: constants,
  },
  {
    guard: 'a constant that meets padding does not go into the bias',
    file: 'src/ir/families/window.ts',
    from: 'w.pads === undefined || w.pads.every((p) => p === 0)',
    to: 'true',
    tests: elimination,
  },
  {
    guard: 'constant channels keep their number although nothing needs them',
    file: 'src/passes/channel-elimination/analyse.ts',
    from: '(l === 1 || at(given, i) === 1 ? 1 : 0)',
    to: '(l === 1 && at(given, i) >= 0 ? 1 : 0)',
    tests: elimination,
  },
  {
    guard: 'graph outputs are pinned',
    file: 'src/passes/channel-elimination/tracking.ts',
    from: 'for (const { name } of graph.outputs) pinAll',
    to: 'for (const { name } of graph.outputs.slice(0, 0)) pinAll',
    tests: elimination,
  },
  {
    guard: 'an axis that an operator mixes is pinned',
    file: 'src/passes/channel-elimination/tracking.ts',
    from: 'if (!isRead && op.ignores?.(ctx, port, axis) !== true) pin(value, axis, mixed)',
    to: 'if (!isRead && op.ignores?.(ctx, port, axis) === true) pin(value, axis, mixed)',
    tests: elimination,
  },
  {
    guard: 'a shared initializer is copied on write',
    file: 'src/passes/channel-elimination/shrink.ts',
    from: 'const alone = readers.length === 1',
    to: 'const alone = readers.length >= 1',
    tests: elimination,
  },
  {
    guard: 'a value that gives its partner its size is not written as a small constant',
    file: 'src/passes/propagate-constants.ts',
    from: '(p === port ? name : i)) }\n        if (keepsTypes(graph, next, types, constants)) {',
    to: '(p === port ? name : i)) }\n        if (constants.size > 0) {',
    tests: elimination,
  },
  {
    guard: 'average pooling that counts its padding makes no constant of a constant',
    file: 'src/ir/ops/average-pool.ts',
    from: 'return c === 0 || skipsPadding || staysInside(attrs) ? c : undefined',
    to: 'return c === 0 || !skipsPadding || staysInside(attrs) ? c : undefined',
    tests: elimination,
  },
  {
    guard: 'padding with another number makes no constant of a constant',
    file: 'src/ir/ops/pad.ts',
    from: "return x === fill || ctx.attrs.mode !== 'constant' || !bordered ? x : undefined",
    to: 'return x',
    tests: elimination,
  },
  {
    guard: 'constants that meet padding keep a carrier',
    file: 'src/ir/families/payment.ts',
    from: 'if (carrier < 0 || sizeOf(largest) > carrierRatio * sizeOf(carrier)) {',
    to: 'if (carrier < 0) {',
    tests: numbers,
  },
  {
    guard: 'dead channels whose zeros make no number are computed as before',
    file: 'src/passes/channel-elimination/index.ts',
    from: 'if (endangered.length === 0)',
    to: 'if (endangered.length >= 0)',
    tests: elimination,
  },
  {
    guard: 'dead channels that stay are written as zeros',
    file: 'src/ir/families/rebuild.ts',
    from: 'keptOut[o] === 0 || (c.payable && exact?.[o] === 0)',
    to: 'keptOut[o] === 0',
    tests: numbers,
  },
  {
    guard: 'a new weight keeps its digits',
    file: 'src/ir/numerics.ts',
    from: 'return error <= unitsLost * 2 ** -digits * magnitude',
    to: 'return error <= Infinity',
    tests: numbers,
  },
  {
    guard: 'a composed weight keeps its digits',
    file: 'src/ir/families/weight-sums.ts',
    from: 'if (!isPlain(x, precision) && !fits(precision, x, size)) {',
    to: 'if (!isPlain(x, precision) && size < 0) {',
    tests: numbers,
  },
  {
    guard: 'a weight that carries others keeps its digits',
    file: 'src/ir/families/weights.ts',
    from: 'if (!fits(precision, sum, size)) return undefined',
    to: 'if (!fits(precision, sum, Infinity)) return undefined',
    tests: numbers,
  },
  {
    guard: 'terms grow by a limited factor',
    file: 'src/ir/families/weights.ts',
    from: 'if (Math.abs(byOutput) > limit && sum > 1)',
    to: 'if (Math.abs(byOutput) > limit && sum > Infinity)',
    tests: numbers,
  },
  {
    guard: 'terms below their inputs may grow by more',
    file: 'src/ir/families/weights.ts',
    from: 'if (Math.abs(byOutput) > limit && sum > 1)',
    to: 'if (Math.abs(byOutput) > limit)',
    tests: numbers,
  },
  {
    guard: 'terms of a composed weight grow by a limited factor',
    file: 'src/ir/families/weight-sums.ts',
    from: 'if (top > limit && sum > 1)',
    to: 'if (top > limit && sum > Infinity)',
    tests: numbers,
  },
  {
    guard: 'a bias stays finite in its type',
    file: 'src/ir/families/rebuild.ts',
    from: 'if (Number.isFinite(rounded) ||',
    to: 'if (!Number.isNaN(rounded) ||',
    tests: numbers,
  },
  {
    guard: 'a payment is not divided by beta',
    file: 'src/ir/ops/gemm.ts',
    from: 'const beta = changesBias(change, addsC(ctx)) ? 1 : ctx.attrs.beta',
    to: 'const { beta } = ctx.attrs',
    tests: numbers,
  },
  {
    guard: 'biases that cancel are not joined',
    file: 'src/passes/fold-affine.ts',
    from: 'isUndone || cancels(precision, before, after, size)',
    to: 'isUndone',
    tests: numbers,
  },
  {
    guard: 'biases of two contractions that cancel are not joined',
    file: 'src/passes/fuse-linear.ts',
    from: 'if ((terms[o] ?? 0) > 0 && cancels(',
    to: 'if ((terms[o] ?? 0) < 0 && cancels(',
    tests: numbers,
  },
  {
    guard: 'constants that cancel are not joined',
    file: 'src/passes/fuse-linear.ts',
    from: 'if (!cancels(precisionOf(sum.dtype), before, Math.min(least, after))) return undefined',
    to: 'if (before >= 0) return undefined',
    tests: 'test/passes/fuse-linear.test.ts',
  },
  {
    guard: 'a sum that is exact is not folded into what reads it',
    file: 'src/passes/fold-affine.ts',
    from: 'if (Math.abs(scale[i] ?? 0) === 1) return',
    to: 'if (scale[i] === undefined) return',
    tests: 'test/passes/fold-affine.test.ts',
  },
  {
    guard: 'what a runtime computes in a tail is not a constant',
    file: 'src/ir/numerics.ts',
    from: 'error <= Math.abs(x) * 2 ** (Math.min(10, Math.floor(digits / 2)) - digits)',
    to: 'error <= Infinity',
    tests: numbers,
  },
  {
    guard: 'normalisations of constants need an epsilon',
    file: 'src/ir/families/normalization.ts',
    from: 'epsilon >= Math.max(2 ** -126, precisionOf(dtype).tiny) &&',
    to: '',
    tests: numbers,
  },
  {
    guard: 'a width is rounded up only where that is cheaper',
    file: 'src/passes/channel-elimination/draft.ts',
    from: 'if (after <= cost(nodes)) redo(changes)',
    to: 'if (after <= Infinity) redo(changes)',
    tests: elimination,
  },
  {
    guard: 'folding takes only a value that nothing else reads',
    file: 'src/passes/fold-affine.ts',
    from: 'if (onlyReader(graph, value) !== node) return refuse',
    to: 'if (onlyReader(graph, value) === undefined && value === node.op) return refuse',
    tests: 'test/passes/fold-affine.test.ts',
  },
  {
    guard: 'a constant along the width is not folded as one along the channels',
    file: 'src/ir/families/elementwise.ts',
    from: 'size !== 1 && (a + missing !== axis || size !== channels)',
    to: 'size !== 1 && size !== channels',
    tests: 'test/passes/fold-affine.test.ts',
  },
  {
    guard: 'a shift before padding is not folded into the bias',
    file: 'src/passes/fold-affine.ts',
    from: 'if (!c.uniform) return refuse',
    to: 'if (c.groups < 1) return refuse',
    tests: 'test/passes',
  },
  {
    guard: 'verification tries large and tiny inputs',
    file: 'src/run/inputs.ts',
    from: '[1e-12, 1e-3, 1e3, 1e12]',
    to: '[]',
    tests: 'test/run/verify.test.ts',
  },
  {
    guard: 'at another magnitude nothing is compared where the masked model is not finite',
    file: 'src/run/verify.ts',
    from: 'if (magnitude !== undefined && countNonFinite(x.right) > usual)',
    to: 'if (magnitude !== undefined && countNonFinite(x.right) < 0)',
    tests: 'test/run/verify.test.ts',
  },
  {
    guard: 'an output that is the same for all inputs proves nothing',
    file: 'src/run/verify.ts',
    from: "if (isConstant) return 'constant'",
    to: "if (!isConstant) return 'constant'",
    tests: 'test/run/verify.test.ts',
  },
  {
    guard: 'a saturated output is said to be one',
    file: 'src/run/compare.ts',
    from: 'if (x !== 0 && x !== 1 && x !== -1) saturated = false',
    to: 'saturated = false',
    tests: 'test/run/verify.test.ts',
  },
  {
    guard: 'no norm is known whose powers leave the normal numbers',
    file: 'src/ir/special-functions.ts',
    from: 'power >= normal && count * power <= largest',
    to: 'power >= 0 && count * power >= 0 * normal * largest',
    tests: 'test/ir/tails.test.ts',
  },
  {
    guard: 'no root mean square is known whose squares overflow',
    file: 'src/ir/ops/rms-normalization.ts',
    from: '&& c * c <= largest * 2 ** -24',
    to: '&& largest > 0',
    tests: 'test/ir/tails.test.ts',
  },
  {
    guard: 'a pattern is the same in all samples of a batch',
    file: 'src/passes/channel-elimination/patterns.ts',
    from: 'else if (repeats(all, slice.length))',
    to: 'else',
    tests: elimination,
  },
  {
    guard: 'a slice depends on every input, on one that is not linked too',
    file: 'src/passes/channel-elimination/patterns.ts',
    from: 'const [shape, number] = [singleShape(graph, value), constants.uniform(value)]',
    to: 'const [shape, number] = [singleShape(graph, value), constants.uniform(value) ?? 1]',
    tests: elimination,
  },
  {
    guard: 'patterns come back where they cannot be added position by position',
    file: 'src/ir/families/payment.ts',
    from: 'if (back.length === 0) return payOntoCarriers',
    to: 'if (back.length >= 0) return payOntoCarriers',
    tests: elimination,
  },
  {
    guard: 'an output that is written as zeros gets no border',
    file: 'src/ir/families/payment.ts',
    from: 'return outputs[o] === 1 ?',
    to: 'return outputs[o] !== 2 ?',
    tests: 'test/ir/laws.test.ts',
  },
  {
    guard: 'a border and the bias beside it are rounded as one',
    file: 'src/ir/families/rebuild.ts',
    from: '(c.payable && border?.outputs[o] === 1)',
    to: '(c.payable && border?.outputs[o] === 2)',
    tests: numbers,
  },
  {
    guard: 'constants that undo each other are there to round',
    file: 'src/passes/fold-affine.ts',
    from: '(isUndone || cancels(precision, before, after, size))',
    to: '((isUndone && size < 0) || cancels(precision, before, after, size))',
    tests: numbers,
  },
  {
    guard: 'a border is a term of the sum that a constant behind it rounds',
    file: 'src/passes/fold-affine.ts',
    from: '(others?.[o] ?? 0)',
    to: '0 * (others?.[o] ?? 0)',
    tests: numbers,
  },
  {
    guard: 'parallel branches that cancel stay two',
    file: 'src/ir/families/weight-sums.ts',
    from: 'if (cancels(precision, before, after)) {',
    to: 'if (cancels(precision, 0 * before, after)) {',
    tests: parallel,
  },
  {
    guard: 'weights of parallel branches have a finite sum',
    file: 'src/ir/families/weight-sums.ts',
    from: 'if (b !== 0 && !fits(precision, a + b, size)) {',
    to: 'if (b !== 0 && size < 0) {',
    tests: parallel,
  },
  {
    guard: 'biases of parallel branches that undo each other stay',
    file: 'src/passes/fuse-parallel.ts',
    from: '(added.right.terms[o] ?? 0) > 0 && cancels(',
    to: '(added.right.terms[o] ?? 0) < 0 && cancels(',
    tests: parallel,
  },
  {
    guard: 'a kernel goes into another one only where it reads the same positions',
    file: 'src/passes/fuse-parallel.ts',
    from: '!Number.isInteger(t) || t < 0 || t >= a.size',
    to: 't < 0 || t >= a.size',
    tests: parallel,
  },
  {
    guard: 'parallel branches make as many positions',
    file: 'src/passes/fuse-parallel.ts',
    from: 'b?.step !== a.step || spare(a) !== spare(b)',
    to: 'b?.step !== a.step',
    tests: parallel,
  },
  {
    guard: 'groups of a branch lie within those of the other',
    file: 'src/passes/fuse-parallel.ts',
    from: '!isSame || d.groups % c.groups !== 0',
    to: '!isSame || d.groups % c.groups > c.groups',
    tests: parallel,
  },
  {
    guard: 'nothing else reads a branch that goes',
    file: 'src/passes/fuse-parallel.ts',
    from: 'node === undefined || onlyReader(graph, value) !== reader',
    to: 'node === undefined || reader === node',
    tests: parallel,
  },
  {
    guard: 'channels of other biases are not equal',
    file: 'src/passes/equal-channels.ts',
    from: '${rows[o]} ${bias} ${group}',
    to: '${rows[o]} ${group}',
    tests: merging,
  },
  {
    guard: 'a place of a channel equals the same place of an equal channel only',
    file: 'src/passes/equal-channels.ts',
    from: "join(',')}:${part}",
    to: "join(',')}:${0 * part}",
    tests: 'test/ir/laws.test.ts',
  },
  {
    guard: 'equal channels of other groups are not read instead',
    file: 'src/passes/merge-channels.ts',
    from: '${Math.floor(i / reads.inputsPerGroup)}',
    to: '${0 * i}',
    tests: merging,
  },
  {
    guard: 'weights that are held as integers are not added up',
    file: 'src/passes/merge-channels.ts',
    from: "reads?.weight.tag === 'Held' || c === undefined",
    to: 'c === undefined',
    tests: merging,
  },
  {
    guard: 'constants are paid for, not merged',
    file: 'src/passes/merge-channels.ts',
    from: '|| facts.isGiven(value, c.axis, i)',
    to: '|| first < 0',
    tests: merging,
  },
  {
    guard: 'weights are moved only where a channel goes then',
    file: 'src/passes/merge-channels.ts',
    from: 'filter((i) => !kept.has(i))',
    to: 'filter((i) => !kept.has(i) || i >= 0)',
    tests: merging,
  },
  {
    guard: 'weights of equal channels that cancel stay',
    file: 'src/ir/families/weight-sums.ts',
    from: 'if (cancels(precision, before, after)) return E.left(worst)',
    to: 'if (before < 0) return E.left(worst)',
    tests: merging,
  },
  {
    guard: 'weights that cancel little against the rest of a sum are merged',
    file: 'src/ir/families/weight-sums.ts',
    from: 'after += blockSize(r, at, o, i)',
    to: 'after += 0 * blockSize(r, at, o, i)',
    tests: merging,
  },
  {
    guard: 'sums of weights of equal channels fit into their type',
    file: 'src/ir/families/weight-sums.ts',
    from: '!fits(precision, sum, size) || sum > growth',
    to: 'sum > growth',
    tests: merging,
  },
  {
    guard: 'sums of weights of equal channels do not grow beyond what they may',
    file: 'src/ir/families/weight-sums.ts',
    from: '|| sum > growthLimit(precision) * largest',
    to: '|| sum > Infinity * largest',
    tests: merging,
  },
  {
    guard: 'a weight in blocks loses its inputs in blocks',
    file: 'src/passes/channel-elimination/rules.ts',
    from: 'if (c?.missed === undefined) return',
    to: 'if (c?.missed !== null) return',
    tests: blocks,
  },
  {
    guard: 'where a runtime may round the input by blocks, constants are no numbers in a sum',
    file: 'src/ir/ops/microsoft/mat-mul-n-bits.ts',
    from: '...(isRounded ? {',
    to: "...(weight.tag !== 'Held' ? {",
    tests: blocks,
  },
  {
    guard: 'where a runtime may round the input by blocks, blocks do not become smaller',
    file: 'src/ir/ops/microsoft/mat-mul-n-bits.ts',
    from: 'size >= (isRounded ? block : leastBlock)',
    to: 'size >= leastBlock',
    tests: blocks,
  },
  {
    guard: 'where a runtime may round the input by blocks, the last block stays as it is',
    file: 'src/ir/ops/microsoft/mat-mul-n-bits.ts',
    from: '(b === last && !isRounded)',
    to: 'b === last',
    tests: blocks,
  },
  {
    guard: 'a weight with an order of its inputs is not looked into',
    file: 'src/ir/ops/microsoft/mat-mul-n-bits.ts',
    from: ' || node.inputs[orderPort]',
    to: '',
    tests: blocks,
  },
  {
    guard: 'a weight that is packed for a machine is not looked into',
    file: 'src/ir/ops/microsoft/mat-mul-n-bits.ts',
    from: ' || weight_prepacked !== 0',
    to: '',
    tests: blocks,
  },
  {
    guard: 'blocks are not made smaller than runtimes have them',
    file: 'src/ir/ops/microsoft/mat-mul-n-bits.ts',
    from: 'block >= leastBlock &&',
    to: '',
    tests: blocks,
  },
  {
    guard: 'zeros of blocks are integers',
    file: 'src/ir/ops/microsoft/mat-mul-n-bits.ts',
    from: 'return isHeld ? viewed',
    to: 'return fits ? viewed',
    tests: blocks,
  },
  {
    guard: 'integers are masked only where all nodes take the same ones for zero',
    file: 'src/passes/apply-masks.ts',
    from: '(found !== undefined && !sameTensor(found, stored))',
    to: 'false',
    tests: heldWeights,
  },
  {
    guard: 'integers of several nodes are masked as what these make of them',
    file: 'src/masks/weights.ts',
    from: 'if (held !== undefined && root !== undefined &&',
    to: 'if (held === undefined && root !== undefined &&',
    tests: heldWeights,
  },
  {
    guard: 'names of quantizers are those of weights',
    file: 'src/masks/match/parameter-name.ts',
    from: '|(DQ_)?Q[248])$/',
    to: ')$/',
    tests: heldWeights,
  },
  {
    guard: 'rows that share a byte are not read one by one',
    file: 'src/ir/tensor.ts',
    from: '* bitsOf(dtype)) % 8 === 0)',
    to: '* bitsOf(dtype)) % 8 >= 0)',
    tests: 'test/ir/held.test.ts',
  },
  {
    guard: 'of what is normalised together all is needed for one',
    file: 'src/passes/channel-elimination/liveness.ts',
    from: 'if (marks === 1) return 1',
    to: 'if (marks === 1) return 0',
    tests: streams,
  },
  {
    guard: 'a group is needed where one of its channels is wanted',
    file: 'src/passes/channel-elimination/liveness.ts',
    from: 'if (mark === 1) isWanted[Math.floor(i / perGroup)] = 1',
    to: 'if (mark === 1) isWanted[i] = 1',
    tests: streams,
  },
  {
    guard: 'a channel leaves statistics only where a constant is known of it',
    file: 'src/passes/channel-elimination/rules.ts',
    from: '!Number.isNaN(constants?.[i] ?? NaN) && s.leaves(constants?.[i] ?? NaN)',
    to: 's.leaves(constants?.[i] ?? 0)',
    tests: streams,
  },
  {
    guard: 'equally many channels leave each group',
    file: 'src/passes/channel-elimination/rules.ts',
    from: 'for (const i of gone.slice(least))',
    to: 'for (const i of gone.slice(marks.length))',
    tests: streams,
  },
  {
    guard: 'a constant that is normalised is no constant afterwards',
    file: 'src/ir/ops/layer-normalization.ts',
    from: 'isAlong && typeof x',
    to: 'typeof x',
    tests: streams,
  },
  {
    guard: 'what is put back and added has its price',
    file: 'src/passes/channel-elimination/price.ts',
    from: '(putBack.size > 1 ? 2 : 1) * whole',
    to: 'whole',
    tests: streams,
  },
  {
    guard: 'nothing else reads what is inside a normalisation that is written out',
    file: 'src/passes/channel-elimination/written-out.ts',
    from: 'users.length > 0 && users.every((user) => readers.has(user))',
    to: 'users.length > 0',
    tests: streams,
  },
]

const root = fileURLToPath(new URL('..', import.meta.url))
const copy = mkdtempSync(join(tmpdir(), 'chasec-mutants-'))
for (const part of ['src', 'test', 'golden', 'package.json', 'tsconfig.json', 'vitest.config.ts']) {
  cpSync(join(root, part), join(copy, part), { recursive: true })
}
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
symlinkSync(join(root, 'dist'), join(copy, 'dist'))

/** Those whose file or tests have the name given, or all. */
const [name = ''] = process.argv.slice(2)
const chosen = mutants.filter(({ file, tests }) => [file, tests].some((one) => one.includes(name)))

const passes = (tests: string): boolean =>
  spawnSync('npx', ['vitest', 'run', tests, '--bail', '1'], { cwd: copy, stdio: 'ignore' }).status === 0

let survivors = 0
try {
  for (const tests of new Set(chosen.map((m) => m.tests))) {
    if (!passes(tests)) throw new Error(`${tests} fails without any mutant`)
  }
  for (const { guard, file, from, to, tests } of chosen) {
    const path = join(copy, file)
    const text = readFileSync(path, 'utf8')
    if (text.split(from).length !== 2) throw new Error(`${file} does not hold this once: ${from}`)
    writeFileSync(
      path,
      text.replace(from, () => to),
    )
    const survived = passes(tests)
    writeFileSync(path, text)
    if (survived) survivors += 1
    console.log(`${survived ? 'SURVIVED' : 'killed  '} ${guard} (${file}, by ${tests})`)
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
console.log(`${chosen.length - survivors} of ${chosen.length} mutants killed`)
if (survivors > 0) process.exitCode = 1
