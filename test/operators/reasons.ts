/**
 * Why operators stop elimination. A reason for an operator that channels go through by now is not shown; `npm run operators`
 * names it.
 */

/** Operators that are read but that channels stay at: types are known, and where the operands are, so is the result. */
export const stops: ReadonlyArray<readonly [reason: string, operators: ReadonlyArray<string>]> = [
  ['becomes a constant when a model is read', ['Constant']],
  ['makes numbers of sizes alone; nothing of an input goes through', ['EyeLike', 'Range', 'Size']],
  [
    'which element is read or written is known at run time only',
    ['GatherElements', 'GatherND', 'ScatterElements', 'OneHot'],
  ],
  ['how much is left depends on the numbers', ['NonMaxSuppression', 'NonZero', 'Unique']],
  [
    'a sequence has no axes to follow channels along; where its members are known, they are read in its place',
    [
      'ConcatFromSequence',
      'SequenceAt',
      'SequenceConstruct',
      'SequenceEmpty',
      'SequenceErase',
      'SequenceInsert',
      'SequenceLength',
      'SplitToSequence',
    ],
  ],
]

/** Operators whose nodes are opaque, but whose insides are compiled. */
export const bodies: ReadonlyArray<readonly [reason: string, operators: ReadonlyArray<string>]> = [
  [
    'its bodies are compiled as graphs of their own; a branch that is always taken comes in the place of its If',
    ['If', 'Loop', 'Scan'],
  ],
]

const rare = 'rare in what exporters write; not modelled yet'

/** Operators that are not looked into. Nothing that they touch is changed. */
export const opaque: ReadonlyArray<readonly [reason: string, operators: ReadonlyArray<string>]> = [
  [
    'random numbers: another width draws other ones',
    ['Bernoulli', 'Multinomial', 'RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike'],
  ],
  [
    'strings have no channels',
    ['RegexFullMatch', 'StringConcat', 'StringNormalizer', 'StringSplit', 'TfIdfVectorizer'],
  ],
  ['applies a function to the members of a sequence, as many as there are', ['SequenceMap']],
  ['optional values have no axes to follow channels along', ['Optional', 'OptionalGetElement', 'OptionalHasElement']],
  [
    'losses of training, which models for inference do not have',
    ['NegativeLogLikelihoodLoss', 'SoftmaxCrossEntropyLoss'],
  ],
  ['decodes files', ['ImageDecoder']],
  ['reads bits as another type: a zero need not stay one', ['BitCast']],
  ['made of sizes alone, in front of spectra', ['BlackmanWindow', 'HammingWindow', 'HannWindow', 'MelWeightMatrix']],
  ['a transform along time or space, in front of all layers as a rule', ['AffineGrid', 'DFT', 'STFT']],
  ['mixes rows and columns of matrices', ['Det']],
  [
    rare,
    ['CausalConvWithState', 'Col2Im', 'CumProd', 'DeformConv', 'LinearAttention', 'MaxRoiPool', 'MaxUnpool', 'SwiGLU'],
  ],
  ['writes into a cache at places known at run time only', ['TensorScatter']],
  ['removed from ONNX in version 11 in favour of ScatterElements', ['Scatter']],
]

/** The same for `com.microsoft`. */
export const opaqueOfMicrosoft: typeof opaque = [
  [
    'not modelled: ONNX Runtime’s optimizers fuse it from operators that are followed, most for graphics cards; compile first',
    [
      'BiasAdd',
      'BiasSoftmax',
      'BiasSplitGelu',
      'CausalConvWithState',
      'DecoderAttention',
      'DecoderMaskedMultiHeadAttention',
      'DecoderMaskedSelfAttention',
      'EngramGate',
      'FusedMatMulActivation',
      'GatedAdd',
      'GatedDeltaNet',
      'GatedRMSNorm',
      'GatedRelativePositionBias',
      'GemmFastGelu',
      'GemmFloat8',
      'GemmaRotaryEmbedding',
      'GroupNorm',
      'LinearAttention',
      'LinearAttentionGate',
      'LongformerAttention',
      'MRotaryEmbedding',
      'NhwcConv',
      'NhwcFusedConv',
      'NhwcMaxPool',
      'PackedAttention',
      'PackedMultiHeadAttention',
      'PagedAttention',
      'RelativePositionBias',
      'RemovePadding',
      'RestorePadding',
      'SkipGroupNorm',
      'SparseAttention',
      'VarlenCausalConvWithState',
    ],
  ],
  ['mixture of experts in one node; written out, whole experts and their neurons go', ['MoE', 'QMoE']],
  [
    'the random or repeated part of generating text',
    ['BeamSearch', 'GreedySearch', 'Sampling', 'WhisperBeamSearch', 'BifurcationDetector', 'NGramRepeatBlock'],
  ],
  ['strings and hashes have no channels', ['MurmurHash3', 'NGramHashMapping', 'Tokenizer', 'WordConvEmbedding']],
  ['training', ['BiasDropout', 'BitmaskBiasDropout', 'BitmaskDropout', 'IsAllFinite']],
  ['holds a model that was compiled for a device', ['EPContext', 'Snpe']],
  [
    'weights packed for one kernel in blocks that no index goes out of',
    [
      'DequantizeBFP',
      'DequantizeWithOrder',
      'MatMulBlockQuantizedFp4Weight',
      'MatMulBlockQuantizedFp8Weight',
      'MatMulBnb4',
      'MatMulFpQ4',
      'MatMulNBitsMlp',
      'MatMulNBitsQkv',
      'QOrderedAttention',
      'QOrderedGelu',
      'QOrderedLayerNormalization',
      'QOrderedLongformerAttention',
      'QOrderedMatMul',
      'QuantizeBFP',
      'QuantizeWithOrder',
      'GatherBlockQuantized',
    ],
  ],
  [
    'integers behind a quantizer that are not modelled yet; as QDQ the same layer is followed',
    [
      'MatMulInteger16',
      'MulInteger',
      'QEmbedLayerNormalization',
      'QLinearConv',
      'QLinearReduceMean',
      'ReduceSumInteger',
    ],
  ],
  [
    'rounds its state by its range at each step, which no operator that is followed does; compile before quantizing, or mask only other layers',
    ['DynamicQuantizeLSTM'],
  ],
  ['rounds by a table of exponentials of its own; as QDQ the same layer is followed', ['QLinearSoftmax']],
  [
    'kept for old files, or written by no exporter; ONNX has an operator for the same',
    [
      'AttnLSTM',
      'CDist',
      'ComplexMul',
      'ComplexMulConj',
      'ConvTransposeWithDynamicPads',
      'CropAndResize',
      'DynamicTimeWarping',
      'ExpandDims',
      'GatherND',
      'GridSample',
      'Inverse',
      'Irfft',
      'MaxpoolWithMask',
      'Pad',
      'Range',
      'Rfft',
      'SampleOp',
      'SparseToDenseMatMul',
      'TorchEmbedding',
      'TransposeMatMul',
      'Trilu',
      'UnfoldTensor',
      'Unique',
    ],
  ],
]

/** Whole domains that are not looked into. */
export const domains: ReadonlyMap<string, string> = new Map([
  ['ai.onnx.ml', 'trees, support vectors, encoders and scalers of classical machine learning: no layers with channels'],
  ['ai.onnx.preview', 'operators that ONNX tries out'],
  ['ai.onnx.preview.training', 'steps of optimizers and gradients: training'],
])
