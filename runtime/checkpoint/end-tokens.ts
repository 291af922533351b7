// Which tokens end a turn according to a chat template.
//
// Checkpoints disagree with themselves here: generation_config.json names <|endoftext|> while the
// template closes turns with <|im_end|>, or only the tokenizer's eos_token is right. A model that
// misses its end token goes on to talk to itself, so all sources count together, and a template
// counts by the well-known closing tokens that it writes.

/** Tokens that published chat templates close a turn with, or a whole text. */
const TURN_ENDS = [
  '<|im_end|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end|>',
  '<|end_of_text|>',
  '<|end_of_turn|>',
  '<|endoftext|>',
  '<end_of_turn>',
  '</s>',
]

/** @param addedTokens content → id of the tokens that stand outside ordinary text */
export function turnEndIds(
  chatTemplate: string | null,
  addedTokens: Map<string, number>,
): number[] {
  if (chatTemplate === null) return []
  return TURN_ENDS.flatMap((token) => {
    const id = addedTokens.get(token)
    return id !== undefined && closesTurn(chatTemplate, token) ? [id] : []
  })
}

function closesTurn(chatTemplate: string, token: string): boolean {
  if (chatTemplate.includes(token)) return true
  // Some templates put the closing token together from a variable; what <|im_start|> opens,
  // <|im_end|> closes.
  return token === '<|im_end|>' && chatTemplate.includes('<|im_start|>')
}
