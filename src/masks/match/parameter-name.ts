/** What a parameter is called, less what frameworks add to names when they wrap, prune, parametrize or compile a module. */

export interface ParameterName {
  /** The name as the file has it. */
  readonly raw: string
  /** Its parts, outermost module first, the parameter itself last. */
  readonly tokens: ReadonlyArray<string>
  /** Which axis of a matrix holds the outputs: PyTorch writes `[out, in, kernel..]`, TensorFlow `[kernel.., in, out]`. */
  readonly style: 'torch' | 'tensorflow'
  /** Whether it ends as `torch.nn.utils.prune` names its buffers: that mask is one of this use of a tied parameter only. */
  readonly pruned: boolean
}

/** Modules that wrap another one and pass everything on: DistributedDataParallel, torch.compile, FSDP, checkpointing, DeepSpeed. */
const wrappers = new Set([
  'module',
  '_orig_mod',
  '_fsdp_wrapped_module',
  '_checkpoint_wrapped_module',
  '_forward_module',
])

const tensorflowLeaves = new Set(['kernel', 'depthwise_kernel', 'pointwise_kernel', 'recurrent_kernel', 'embeddings'])

/** Last parts of names of values that an operator of TensorFlow reads a variable through. */
const tensorflowReads = /^(ReadVariableOp(_\d+)?|Read|resource)$/

/** What quantizers add to the name of a weight for its integers and for what these stand for. */
const quantizerSuffix = /_(quantized|dequantized|DequantizeLinear_Output|(DQ_)?Q[248])$/

const buffer = /(_|^)(mask|orig)$/

/** Whether a file holds a mask under this name, rather than a weight beside masks. */
export const namesMask = (name: string): boolean => /(^|[._/])mask(:\d+)?$/.test(name)

/**
 * The parts of a name. `module.`, `_orig_mod.` and the like go wherever they stand; `weight_mask`, `weight_orig`,
 * `weight.mask`, `parametrizations.weight.original` and `parametrizations.weight.0.mask` become `weight`; TensorFlow's
 * `dense/kernel:0` becomes `dense.kernel`, `weight_quantized` of ONNX Runtime's quantizer `weight`. What weight normalisation splits (`original0`, `weight_g`) is left: a mask on a
 * part of a product is no mask on the product.
 */
export const parameterName = (raw: string): ParameterName => {
  const slashed = raw.includes('/')
  const parts = raw
    .replace(/:\d*$/, '')
    .replace(quantizerSuffix, '')
    .split(slashed ? /\// : /\./)
    .filter((part) => part !== '' && !wrappers.has(part))
  while (slashed && parts.length > 1 && tensorflowReads.test(parts.at(-1) ?? '')) parts.pop()
  const pruned = /_mask$/.test(parts.at(-1) ?? '')
  const at = parts.indexOf('parametrizations')
  const known = at >= 0 && at + 2 < parts.length && /^(original|\d+)$/.test(parts[at + 2] ?? '')
  const tokens = known ? [...parts.slice(0, at), parts[at + 1] ?? ''] : parts
  const last = tokens.at(-1) ?? ''
  if (tokens.length > 1 && (last === 'mask' || last === 'orig')) tokens.pop()
  else if (buffer.test(last) && last.length > 5) tokens[tokens.length - 1] = last.replace(buffer, '')
  const leaf = tokens.at(-1) ?? ''
  // Variables of TensorFlow, whatever they are called.
  const isVariable = (slashed || /:\d*$/.test(raw)) && !/weight|bias/.test(leaf)
  return { raw, tokens, style: tensorflowLeaves.has(leaf) || isVariable ? 'tensorflow' : 'torch', pruned }
}

/** Whether a parameter is added, not multiplied by inputs: its name never stands for the weight of its module. */
export const isOffset = ({ tokens }: ParameterName): boolean =>
  /bias|beta|running_|moving_|gamma/.test(tokens.at(-1) ?? '')

/** A factor of a weight (weight normalisation): a mask on it is no mask on the product, which is what exporters store. */
export const isFactor = ({ tokens }: ParameterName): boolean =>
  tokens.includes('parametrizations') || /_[gv]$/.test(tokens.at(-1) ?? '')

/** A name that only counts: of an element of a list, or of an array that was saved without a name. */
export const isNameless = ({ tokens }: ParameterName): boolean =>
  tokens.length === 0 || (tokens.length === 1 && /^(arr_|mask_?)?\d*$/.test(tokens[0] ?? ''))

/** A name that an exporter made for a value it computed: the parameter's own name is lost. */
export const isGenerated = (name: string): boolean =>
  /^(onnx::\w+|_?val_\d+|\d+|t_\d+|transpose_\d+|\w*_?const_fold\w*|.*_output_\d+|.*\/Transpose\w*(:\d+)?)$/i.test(name)

/** Whether two names are one, and say something: a name without a module may be made up. */
export const isSameName = (a: ParameterName | undefined, b: ParameterName | undefined): boolean =>
  a !== undefined && b !== undefined && a.tokens.length > 1 && sameTokens(a.tokens, b.tokens)

export const sameTokens = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean =>
  a.length === b.length && a.every((token, i) => token === b[i])
