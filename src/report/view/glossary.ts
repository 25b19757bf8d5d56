/** What the words of reports mean, for people who meet them for the first time. */

export const meanings = {
  channel:
    'One feature map of a convolution, one neuron of a linear layer, one head or place of an attention: an index along the axis that a layer makes or reads.',
  width: 'How many output channels a layer has.',
  mask: 'Which weights of a layer count. A masked weight is taken as zero.',
  'masked model': 'The model with every weight multiplied by its mask. It is what the compiled model is compared with.',
  'compiled model':
    'The smaller model that was made. It computes what the masked model computes; whether the masks themselves cost accuracy only a test set can tell.',
  'half precision':
    'Numbers of 16 bits instead of 32 (float16): about three digits, none above 65504. Lossy, half as large, and made for GPUs.',
  'multiply-accumulates':
    'Products that are added up in one run of the model (MACs): half the floating-point operations that others count.',
  alone:
    'What would be left of a layer if it could drop every channel that it need not make or read, whatever its neighbours need. The distance to it is what the structure of the network costs.',
  density: 'The share of the weights that are not zero once they are masked, from 0 to 100 %.',
  'dead channel': 'A channel that no output of the network depends on.',
  'constant channel':
    'A channel that holds the same number for every input. It goes too: what it adds is added to the layer behind it.',
  'relative difference':
    'The largest difference of an output between the two models, divided by the largest number in that output.',
  tolerance:
    'The relative difference up to which two outputs count as equal. Both models round, in another order, so the last digits may differ.',
  quartiles: 'Half of the measurements lie between the first and the third quartile; the median is in the middle.',
  noise:
    'How much the speed of one and the same model varies from one measurement to the next. A difference that is no larger proves nothing.',
  score: 'What a channel seems to be worth, judged by the weights that make it. The lowest are masked first.',
} as const satisfies Readonly<Record<string, string>>

export type Term = keyof typeof meanings
