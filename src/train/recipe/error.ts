import { type Failure, failure } from '../../ir/failure.ts'

/** What is wrong with one entry of a recipe. */
export type RecipeError = Failure<'RecipeError'>

export const recipeError = (subject: string, expected: string, found: string, help: string): RecipeError =>
  failure('RecipeError', subject, expected, found, help)
