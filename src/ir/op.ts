/**
 * What an operator must answer. One operator is one file in `ops/`, exporting one {@link OpDef}; every analysis and
 * pass asks through it, so that none of them names an operator.
 */
import type { Either } from 'fp-ts/lib/Either.js'
import type { Schema } from './attributes.ts'
import type { Refusal } from './numerics.ts'
import type { Dense, Held, Tensor } from './tensor.ts'
import type { Dim, ValueType } from './type.ts'

/** A value's name: unique in the graph, and the name it has in the ONNX file. `''` stands for an omitted port. */
export type ValueId = string

export interface Node<Name extends string = string, A = unknown> {
  readonly op: Name
  readonly attrs: A
  readonly inputs: ReadonlyArray<ValueId>
  readonly outputs: ReadonlyArray<ValueId>
  /** The node's name in the file; may be empty. */
  readonly name: string
  /** Serialised NodeProto with only what the IR does not model (doc string, metadata, unknown fields), if any. */
  readonly meta?: Uint8Array
}

/** What type inference may look at. Ports that are omitted or beyond the node's inputs are undefined. */
export interface InferContext<A> {
  readonly attrs: A
  /** Version of the default domain that the model imports. */
  readonly opset: number
  readonly inputs: ReadonlyArray<ValueType | undefined>
  readonly outputNames: ReadonlyArray<ValueId>
  /** The constant on an input port. */
  readonly constant: (port: number) => Tensor | undefined
  /**
   * Known elements of a small integer tensor (rank 0 or 1) on an input port, as sizes: a number where the element is
   * known, a symbol where it equals that symbolic dimension. Constants are included.
   */
  readonly content: (port: number) => ReadonlyArray<Dim> | undefined
}

export interface NodeContext<A> extends InferContext<A> {
  readonly node: Node<string, A>
  readonly outputs: ReadonlyArray<ValueType>
  /** The axis of an input along which its elements are known to add up to 1, if there is one. Absent: nothing is known. */
  readonly sumsToOne?: (port: number) => number | undefined
}

/** Where the indices of one axis lie on another. It is asked index by index, so that a long axis costs nothing. */
export interface IndexMap {
  /** The first index that lies somewhere, and the one after the last. Those before and behind lie nowhere. */
  readonly first: number
  readonly end: number
  /** Where an index from `first` to before `end` lies. */
  readonly at: (index: number) => number
  /** Whether some index lies at every place of the other axis. */
  readonly onto: boolean
  /** Where that is what it is: index i lies at `⌊i / unit⌋ mod size`. */
  readonly digit?: { readonly size: number; readonly unit: number }
}

/**
 * Which indices along an input axis and an output axis belong together. Dropping an index at one end requires dropping
 * its partners at the other, and then the rest of the output is unchanged. Without a map, index i belongs to index i.
 *
 * `from` says for an output index which input index it is made from, if any on this port; `into` for an input index which
 * output index it goes into, if any. Where both are given, they take the indices of both sides to what these are parts of: of
 * `(batch, channel) -> (batch · head, place)` to the head that a channel, and an index of both merged, belong to.
 */
export interface AxisLink {
  readonly input: number
  readonly inputAxis: number
  readonly output: number
  readonly outputAxis: number
  readonly from?: IndexMap | undefined
  readonly into?: IndexMap | undefined
  /**
   * Whether several indices of the output share what the input has for them (heads of queries a head of keys): each of them may go by
   * itself, what they share only with all of them. Of links with both maps; how many stay of each is up to {@link OpDef.sharing}.
   */
  readonly isShared?: boolean
  /**
   * Whether the node selects: an index of the output may go while the one that it is made from stays. Where it `restores`, one of
   * the input may also go while what is made from it stays, if it is constant: the node puts the constant back.
   */
  readonly selects?: { readonly restores: boolean }
}

/**
 * What is known of one slice (an index along an axis) of an input: the number it holds everywhere and for every input
 * of the model; undefined when nothing is known; null when this port has no part in the output slice asked about.
 */
export type SliceFact = number | undefined | null

/** Channels along an axis that no input of the model changes, but that differ from position to position. */
export interface Patterns {
  readonly has: (channel: number) => boolean
  /** What one of them holds in each sample of a batch, in row-major order of the other axes. */
  readonly slice: (channel: number) => Float64Array
}

/**
 * A contraction: `out[.., o, ..] = Σ_c x[.., c, ..] · W[o, c] (+ bias)`, summed over channels `c` of input `port`.
 * Where the operator is grouped, output `o` of group `g = floor(o / (outs / groups))` reads the inputs of group `g` only.
 */
export interface Contraction {
  readonly port: number
  readonly axis: number
  readonly outputAxis: number
  readonly weightPort: number
  /** What is multiplied, where that is not the operand itself: what its integers stand for. Of the same shape. */
  readonly weight?: Held
  /**
   * What a number on the input counts as in the sum, where that is not itself: what an integer stands for; NaN where that is not
   * known.
   */
  readonly counts?: (x: number) => number
  /** The port of the number that is taken off each integer on the input, where that is computed. */
  readonly centre?: number
  /** The number that an output is for a sum, bias and scale included, where that is not the sum: the integer it is rounded to. */
  readonly makes?: (sum: number) => number | undefined
  /** Axes of the weight for output and input channels. Of a grouped weight one of them spans a single group. */
  readonly weightOutputAxis: number
  readonly weightInputAxis: number
  readonly groups: number
  /** Which weight axis counts within a group: ONNX Conv groups its input axis, ConvTranspose its output axis. */
  readonly grouped: 'input' | 'output'
  /** Whether a constant input channel adds the same number to all positions of an output channel (no padding). */
  readonly uniform: boolean
  /** Whether every output position is made from one input position, the same one (a matrix, a kernel of one element). */
  readonly pointwise: boolean
  /** What an output position reads along each spatial axis; undefined where that is not known, or not of this kind. */
  readonly sampling: ReadonlyArray<Sampling> | undefined
  /** Whether {@link rebuild} can multiply the bias and add to it: there is none, or it is a constant. */
  readonly payable: boolean
  /**
   * Why the bias cannot take on an amount, the sum of terms of which the magnitudes sum up to `size`, if it cannot: it is held
   * as integers. Absent: it can.
   */
  readonly admits?: ((output: number, shift: number, size: number) => Refusal | undefined) | undefined
  /** Inputs that have to come back so that the weight can hold those that `keeps` says: it has blocks. Absent: none. */
  readonly missed?: (keeps: (input: number) => boolean) => ReadonlyArray<number>
  /** Constant added to each output channel, by output index; undefined when it is not a constant. */
  readonly bias: (output: number) => number | undefined
  /** The largest magnitude of what the bias adds to an output channel; infinite when it is computed. */
  readonly biasSize: (output: number) => number
  /** Factor on the sum (Gemm's alpha). */
  readonly scale: number
  /** The sum by definition; absent where the sizes of the axes that are not summed over are not known. */
  readonly contract?: Summation | undefined
  /** The node with another weight and bias, or why that cannot be: its bias is computed or would not be finite. */
  readonly rebuild: (change: Rebuilding, names: Naming) => Either<Refusal, Rewrite>
}

/**
 * Element t of a kernel of `size` meets input position `p · step + t · gap - before` for output position p. Positions beyond
 * the input are zero; there are as many output positions as lie within it and `before` and `after` zeros around it.
 */
export interface Sampling {
  readonly size: number
  readonly step: number
  readonly gap: number
  readonly before: number
  readonly after: number
}

/**
 * Channels along an axis that are normalised, or summed up without weights: what is made of one depends on all of its group.
 * One may go where the result is known to stay what it is.
 */
export interface Statistics {
  readonly port: number
  readonly axis: number
  /** Of this many groups, channels in a row and equally many, each has statistics of its own. */
  readonly groups: number
  /**
   * What goes with a channel: first the one of the output that is made of it, if there is one, then its parameters. None of
   * them is among {@link OpDef.links}.
   */
  readonly links: ReadonlyArray<AxisLink>
  /** Whether a channel that holds the constant `c` everywhere can leave its group while others stay. */
  readonly leaves: (c: number) => boolean
  /** Whether that takes nodes around the operator, which cost time: constants are put back in front, results dropped behind. */
  readonly isPadded: boolean
}

/** The sum of a contraction of its own sizes, for some of its channels. */
export interface Summation {
  /** The shape of one sample of input {@link Contraction.port}. */
  readonly shape: ReadonlyArray<number>
  /**
   * `Σ_c x[.., c, ..] · W[o, c]`, without scale and bias, in float64. `x` is of {@link shape} but for its channels, which are
   * those that `weight` reads in `groups` groups, and the number of samples.
   */
  readonly sum: (x: Dense, weight: Tensor, groups: number) => Dense | undefined
}

/** What a contraction becomes. Its weight is admissible already (`families/weights.ts`); the bias is checked by `rebuild`. */
export interface Rebuilding {
  /** Values read and made instead of the node's own; its constant operands are replaced besides. */
  readonly node: Pick<Node, 'inputs' | 'outputs'>
  /** For the outputs and inputs that are kept; the old reference where nothing changes. */
  readonly weight: Tensor
  readonly groups: number
  /** Outputs kept, ascending; undefined when all are. */
  readonly outputs?: Int32Array | undefined
  /** What the bias of each kept output is multiplied by; undefined for 1. A factor 0 gives 0, whatever the bias is. */
  readonly factor?: Float64Array | undefined
  /** What is then added to each kept output; undefined for 0. Not multiplied by {@link Contraction.scale}. */
  readonly shift?: Float64Array | undefined
  /** What stays of another constant operand, along axes other than the output channels. */
  readonly operand?: (port: number, tensor: Tensor) => Tensor
}

/**
 * A sum over products of two operands that are not looked into further, `Σ_k a[.., k, ..] · b[.., k, ..]`: index k of both goes
 * where one of them is zero. At most one of them is a constant.
 */
export interface Pair {
  readonly ports: readonly [number, number]
  readonly axes: readonly [number, number]
  /**
   * Of each operand the axis of output 0 that comes from it alone: what one holds that is the same everywhere adds numbers that are
   * the same along its axis.
   */
  readonly own?: readonly [number, number]
  /** Where an axis has the indices of several groups, one after another: how many each has. All that leave one remainder are one. */
  readonly period?: number
}

/** Heads of output 0, equally many in a row of each group, that share what other values have for their group. */
export interface Sharing {
  readonly axis: number
  readonly groups: number
  readonly perGroup: number
  /** Indices of a head on the axis. */
  readonly size: number
  /** What a group shares, on each with so many indices in a row. All of it goes, or none. */
  readonly shared: ReadonlyArray<NodeAxis & { readonly size: number }>
}

/** An operand of integers that stand for real numbers, `(q - zero) · scale`: the ports of all three. */
export interface IntegerOperand {
  readonly port: number
  readonly scale?: number
  readonly zero?: number
  /** The axis of the operand along which there are a scale and a zero for each index. Absent: there is one of each. */
  readonly axis?: number | undefined
  /** Indices along that axis that share them. Absent: one. */
  readonly block?: number | undefined
  /** What stands on the port where that is no tensor of the integers: what the operand takes it for. */
  readonly packed?: Holding
}

/** What a node takes a constant for that it reads, where that is not the constant itself: real numbers that its integers stand for. */
export interface Holding {
  readonly held: Held
  /** The constant that the node takes for other numbers; undefined where that is not known. */
  readonly store: (held: Held) => Tensor | undefined
}

/**
 * Axes of a value along which it may be moved: numbers that are added to it, the same along the axis, change nothing that it is needed
 * for, as where a softmax is all that reads it.
 */
export interface FreeAxes {
  readonly axes: ReadonlySet<number>
  /** Those of them where no reader passes on what is added. */
  readonly ends: ReadonlySet<number>
}

/** An axis of the value on an input port or an output port of a node. */
export interface NodeAxis {
  readonly side: 'input' | 'output'
  readonly port: number
  readonly axis: number
}

/** A number for each index along an axis, NaN where none is known; one number where it is the same for all. */
export type Numbers = number | Float64Array

/**
 * Two axes of a value on a port of which the indices are channels of their own together. They are counted along one more
 * axis of the value, behind its own: `outer · size of inner + inner`.
 */
export interface NodeJoint {
  readonly side: 'input' | 'output'
  readonly port: number
  readonly outer: number
  readonly inner: number
}

/**
 * Channels that constant weights of an operator mix in more ways than one contraction says, as those of a recurrence do, whose
 * units read the features of an input and each other.
 *
 * A *bundle* is a list of axes along which an index stands for one and the same channel: it goes from all of them or from
 * none. Axes of a bundle are of static size, and are in no link.
 */
export interface Mixing {
  readonly bundles: ReadonlyArray<ReadonlyArray<NodeAxis>>
  /** The joint axes that bundles name, besides axes that values have of their own. */
  readonly joints: ReadonlyArray<NodeJoint>
  /** The bundles that a layer's inputs and outputs are counted by in reports, and the port of its weight. */
  readonly layer: { readonly inputs: number; readonly outputs: number; readonly weightPort: number }
  /**
   * By bundle 1 for each channel that has to be computed when those that `wanted` marks have to: these, and what they read
   * directly or through others. A channel that `given` marks is constant and need not be read.
   */
  readonly needed: (
    wanted: ReadonlyArray<Uint8Array>,
    given: (axis: NodeAxis) => Uint8Array,
  ) => ReadonlyArray<Uint8Array>
  /**
   * Along an axis of an output that is in a bundle the constants of its channels, and how far what a runtime computes may be
   * from each, when the inputs hold those that `known` says.
   */
  readonly constants: (
    known: (axis: NodeAxis) => { readonly values: Numbers; readonly errors: Numbers },
  ) => (axis: NodeAxis) => { readonly values: Float64Array; readonly errors: Float64Array } | undefined
  /** Channels of a bundle that have to come back, since what they add to others cannot be paid for, and why. */
  readonly unpaid: (removal: MixingRemoval) => UnpaidChannels | undefined
  /** What a channel of an output holds that nothing needs and that is written as zeros; undefined where it may be anything. */
  readonly zeroed: number | undefined
  /** The share of the work that is left with so many channels of each bundle. */
  readonly work: (counts: ReadonlyArray<number>) => number
}

/** Which channels of bundles stay, and what is known of them. */
export interface MixingRemoval {
  readonly keeps: (bundle: number, channel: number) => boolean
  /** Whether a channel has to stay what it is. */
  readonly isExact: (bundle: number, channel: number) => boolean
  readonly constants: (axis: NodeAxis) => Float64Array | undefined
}

export interface UnpaidChannels {
  readonly bundle: number
  readonly channels: ReadonlyArray<number>
  readonly reason: Refusal
}

/** Names for what a rewrite makes. */
export interface Naming {
  /** The name for a new constant on a port: the old one's where no other node reads that, else a new one like `hint`. */
  readonly rename: (port: number, hint: string) => ValueId
  /** A value name that nothing else has. */
  readonly fresh: (hint: string) => ValueId
}

/** `y[.., c, ..] = scale[c] · x[.., c, ..] + shift[c]` of the value on input `port`; one number for each channel. */
export interface ChannelAffine {
  readonly port: number
  readonly scale: Float64Array
  readonly shift: Float64Array
}

/** New nodes in place of one node, with their new constants. The last nodes define the outputs of the old one. */
export interface Rewrite {
  readonly nodes: ReadonlyArray<Node>
  readonly constants: ReadonlyMap<ValueId, Tensor>
}

/** What an operator sees when its channels have been decided. Indices are those before shrinking. */
export interface ShrinkContext<A> extends NodeContext<A>, Naming {
  /** Indices kept along an axis, ascending; undefined when all are. */
  readonly keptInput: (port: number, axis: number) => Int32Array | undefined
  readonly keptOutput: (output: number, axis: number) => Int32Array | undefined
  /** Constants of the slices along an input axis; NaN where a slice is not constant. */
  readonly constantsOf: (port: number, axis: number) => Float64Array | undefined
  /** Slices along an input axis that no input of the model changes, but that differ from position to position. */
  readonly patternsOf: (port: number, axis: number) => Patterns | undefined
  /** Whether what given channels add differently at each position is added to the result, as a constant for each position. */
  readonly isBordered: boolean
  /** Constants of the slices along an output axis; NaN where a slice is not constant. */
  readonly constantsOfOutput: (output: number, axis: number) => Float64Array | undefined
  /** Which output slices must keep their numbers: those that are needed, and those that no input changes. 1 must. */
  readonly exactOutput: (output: number, axis: number) => Uint8Array | undefined
}

/** Why an operator is computed in float32 where the rest of a model is in half precision. */
export interface Float32Use {
  /** In words that continue "stays in float32: ". */
  readonly because: string
  /** The only operands that do. Absent: all of them, and the results. */
  readonly inputs?: ReadonlyArray<number>
}

/** A member of a sequence: a value, or a part of one. */
export interface SequenceMember {
  readonly value: ValueId
  /** Indices from `start` to before `end` along an axis, which the member is without where it `isDropped`: it has one index then. */
  readonly part?: { readonly axis: number; readonly start: number; readonly end: number; readonly isDropped: boolean }
}

export interface OpDef<Name extends string, A> {
  /** As in the file; an operator of another domain than ONNX's own begins with that (`domain.ts`). */
  readonly name: Name
  /** Versions of its domain that this definition covers, both inclusive. Others stay opaque. */
  readonly versions: readonly [first: number, last: number]
  readonly schema: Schema<A>
  /** Whether operands of floats may stand beside others that are no numbers to compute with (8-bit floats). */
  readonly mixesTypes?: boolean
  /** Types of all outputs, or why they cannot be inferred (the node is then kept as opaque). */
  readonly inferTypes: (ctx: InferContext<A>) => Either<string, ReadonlyArray<ValueType>>
  /** Known contents of integer outputs of rank 0 or 1, for shape computations. */
  readonly contents?: (ctx: NodeContext<A>) => ReadonlyArray<Dim> | undefined
  /**
   * How axes correspond. `'opaque'` stops elimination at this operator: every axis it touches is pinned. Axes that no
   * link, no contraction and no bundle mentions are pinned too. Only axes of static size are linked.
   */
  readonly links: 'opaque' | ((ctx: NodeContext<A>) => ReadonlyArray<AxisLink> | 'opaque')
  /** Why a node of which the links are `'opaque'` is kept as it is, for reports; undefined where there is no more to say. */
  readonly keptFor?: (ctx: NodeContext<A>) => string | undefined
  /**
   * Whether the outputs depend on nothing along a static axis of an input but its size, for which `shrink` makes up:
   * any indices may go, and none of them is read (Shape).
   */
  readonly ignores?: (ctx: NodeContext<A>, port: number, axis: number) => boolean
  /** The sum over channels that this operator computes, if it does and its weight is constant. */
  readonly contraction?: (ctx: NodeContext<A>) => Contraction | undefined
  /** The channels that this operator normalises or sums up, along each axis. */
  readonly statistics?: (ctx: NodeContext<A>) => ReadonlyArray<Statistics>
  /** The sums of products that this operator computes where it is no contraction. */
  readonly pairs?: (ctx: NodeContext<A>) => ReadonlyArray<Pair>
  /** The heads that share what inputs hold: each group keeps as many. */
  readonly sharing?: (ctx: NodeContext<A>) => Sharing | undefined
  /** The axis of output 0 along which its elements add up to 1 whatever the inputs are, if there is one. */
  readonly sumsToOne?: (ctx: NodeContext<A>) => number | undefined
  /**
   * Axes of the value on input `port`, negative for those that broadcasting puts in front of it: added to it, what is the same along
   * one of them changes nothing, where that holds of output 0 and `free`. Absent: nothing is known.
   */
  readonly shifts?: (ctx: NodeContext<A>, port: number, free: FreeAxes) => ReadonlyArray<number>
  /** How channels are mixed by constant weights in other ways than by one contraction. */
  readonly mixes?: (ctx: NodeContext<A>) => Mixing | undefined
  /** By how much zeros are added around the spatial axes of input 0, begins and then ends, if that is all the node does. */
  readonly zeroPadding?: (ctx: NodeContext<A>) => ReadonlyArray<number> | undefined
  /** The node that reads input 0 without such padding around it, and makes the same. */
  readonly absorbPadding?: (ctx: NodeContext<A>, padding: ReadonlyArray<number>) => Node | undefined
  /** The affine map that this node is of one of its inputs along `axis` of its output, if it is one. */
  readonly affine?: (ctx: NodeContext<A>, axis: number) => ChannelAffine | undefined
  /** Whether output 0 is a product or quotient of the operands: of two computed ones it is a gate or a normalisation. */
  readonly multiplies?: boolean
  /**
   * The constant that a slice of output `output` along `axis` holds when the input slices linked to it hold `slices`.
   * `'copied'`: the number that all slices taking part hold. Absent: never constant.
   */
  readonly constant?:
    | 'copied'
    | ((ctx: NodeContext<A>, slices: ReadonlyArray<SliceFact>, output: number, axis: number) => number | undefined)
  /**
   * A magnitude that a runtime's result is accurate to, where that is not its own: `1 / (1 + e^-x)` of -17 is a small
   * number of which every digit may be wrong. Of the slices that {@link OpDef.constant} is asked about.
   */
  readonly accurateTo?: (ctx: NodeContext<A>, slices: ReadonlyArray<SliceFact>) => number
  /** Whether a runtime squares its computed operands on the way: what overflows then, or underflows, is not seen in double. */
  readonly squares?: boolean
  /** Whether finite inputs, however large or small, always give finite outputs. Absent: no. */
  readonly total?: boolean
  /** The input port that a slice of output 0 equals, given the constants of the others (`x + 0`), if there is one. */
  readonly passes?: (ctx: NodeContext<A>, slices: ReadonlyArray<SliceFact>) => number | undefined
  /** Element by element output `output` is the one number that output `zero` is where input `input` is zero. */
  readonly centres?: { readonly input: number; readonly output: number; readonly zero: number }
  /** Whether output 0 holds the bytes of input 0 under another shape, so that a runtime moves nothing. */
  readonly isView?: boolean
  /** Input ports that may become empty and are then left out (Concat). */
  readonly mayLoseInputs?: boolean
  /** Output ports may become empty and are then left out (Split). */
  readonly mayLoseOutputs?: boolean
  /** The node after its axes shrank. Absent: the same node, its constant operands gathered along linked axes. */
  readonly shrink?: (ctx: ShrinkContext<A>) => Rewrite
  /** Whether broadcasting may widen this input: a constant there can be written in its smallest broadcastable shape. */
  readonly broadcasts?: (port: number) => boolean
  /** The number that an operand stands for when it is left out; undefined where it may not be, or stands for something else. */
  readonly omitted?: (port: number) => number | undefined
  /** The input port that output 0 equals exactly, if this node changes nothing. */
  readonly identity?: (ctx: NodeContext<A>) => number | undefined
  /** A simpler equivalent, looking at this node and its constant operands only. */
  readonly simplify?: (ctx: NodeContext<A>, fresh: (hint: string) => ValueId) => Rewrite | undefined
  /** The members of the sequence that output 0 is, by those of the sequences on input ports; undefined where they are not known. */
  readonly members?: (
    ctx: NodeContext<A>,
    membersOn: (port: number) => ReadonlyArray<SequenceMember> | undefined,
  ) => ReadonlyArray<SequenceMember> | undefined
  /** The node without the sequence on input port 0, which has these members; undefined where it cannot do without. */
  readonly ofMembers?: (
    ctx: NodeContext<A>,
    members: ReadonlyArray<SequenceMember>,
    fresh: (hint: string) => ValueId,
  ) => Rewrite | undefined
  /** The operands that are integers with a scale or a zero of their own. Absent: none, a 0 is the number 0. */
  readonly integers?: (ctx: NodeContext<A>) => ReadonlyArray<IntegerOperand>
  /** The constant that the node makes of constants that are smaller, in terms of these; undefined where it is not that simple. */
  readonly hold?: (ctx: NodeContext<A>) => Held | undefined
  /** What stays in float32 where a model goes to half precision. Absent: nothing, half precision is as good as any. */
  readonly float32?: Float32Use
  /** The operands that are divided by, `offset` added to each number first: of a constant there every number counts by itself. */
  readonly divisors?: (ctx: NodeContext<A>) => ReadonlyArray<{ readonly port: number; readonly offset: number }>
  /** Reference evaluation; undefined where this case is not implemented. Computes in double, rounds once. */
  readonly evaluate?: (
    ctx: NodeContext<A>,
    inputs: ReadonlyArray<Dense | undefined>,
  ) => ReadonlyArray<Dense> | undefined
  /** Steps that `evaluate` takes for static shapes beyond one for each element of inputs and outputs. Absent: `macs`. */
  readonly steps?: (ctx: NodeContext<A>) => number
  /** Multiply-accumulate operations for static shapes. Absent: none. */
  readonly macs?: (ctx: NodeContext<A>) => number
  /** Those that {@link evaluate} needs for these inputs, where it computes equal outputs once. Absent: as many. */
  readonly evaluationMacs?: (ctx: NodeContext<A>, inputs: ReadonlyArray<Dense | undefined>) => number
}

/** Declares an operator; only fixes the type parameters. */
export const defineOp = <Name extends string, A>(op: OpDef<Name, A>): OpDef<Name, A> => op
