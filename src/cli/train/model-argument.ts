/** The argument that says what is trained. */
import { existsSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import { models, parseModel } from '../../models/index.ts'
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
