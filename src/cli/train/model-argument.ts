/** The arguments that say what is trained on what. */
import { existsSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import { models, parseModel } from '../../models/index.ts'
import { dataKinds, parseDataSource } from '../../train/index.ts'
import { existing, offering, wrongBy } from '../wrong-argument.ts'

/** A model as named, if there is such a one. */
export const modelOf = offering(
  (text) => {
    if (existsSync(text) || /[/\\]|\.(onnx|json)$/.test(text)) return existing('a model')(text)
    const parsed = parseModel(text)
    if (E.isLeft(parsed)) throw wrongBy(parsed.left)
    return text
  },
  { words: models.map(({ name }) => name), files: true },
)

/** A kind of data that there is, and a folder. */
export const dataOf = offering(
  (text) => {
    const source = parseDataSource(text)
    if (E.isLeft(source)) throw wrongBy(source.left)
    return text
  },
  { words: dataKinds.map((kind) => `${kind}:`), files: true, behind: ':' },
)
