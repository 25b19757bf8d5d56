import * as E from 'fp-ts/lib/Either.js'
import { type DataError, dataError } from './error.ts'

/** Labels as they were read, each of them below `classes`; `path` is where they stand. */
export const checkedLabels = (
  labels: Uint16Array,
  classes: number,
  path: string,
  help: string,
): E.Either<DataError, Uint16Array> => {
  const wrong = labels.findIndex((label) => label >= classes)
  if (wrong < 0) return E.right(labels)
  const found = `${labels[wrong] ?? ''} for image ${wrong} (counted from 0)`
  return E.left(dataError(path, `labels from 0 to ${classes - 1}`, found, help))
}
