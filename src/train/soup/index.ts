export { checkIngredients, type Ingredient, type SoupError } from './ingredients.ts'
export {
  soup,
  type Soup,
  type SoupChoice,
  soupChoices,
  type SoupOptions,
  type SoupProgress,
  type TriedIngredient,
} from './soup.ts'
