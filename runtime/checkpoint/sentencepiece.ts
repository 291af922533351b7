// SentencePiece's BPE in the words of tokenizer.json.
//
// SentencePiece stores no merges: it joins whichever neighbours make the piece with the best score.
// tokenizer.json wants a ranked list, so every way to make a piece out of two others is written
// down, best score first; Hugging Face's converter for Llama does the same. Spaces are ▁ inside the
// model, and what no piece covers becomes bytes (`<0x0A>`).

const SPACE = '▁'

interface Merge {
  left: string
  right: string
  score: number
  /** in characters */
  leftLength: number
  rightLength: number
}

/**
 * @param scores of the pieces that may come out of a merge: normal ones
 * @param ids of all pieces: either part of a merge may be any of them
 */
export function mergesFromScores(
  scores: Map<string, number>,
  ids: Map<string, number>,
): [string, string][] {
  const merges: Merge[] = []
  for (const [piece, score] of scores) {
    const ways: Merge[] = []
    const letters = Array.from(piece)
    let left = ''
    for (let cut = 1; cut < letters.length; cut++) {
      left += letters[cut - 1]
      const right = piece.slice(left.length)
      if (ids.has(left) && ids.has(right)) {
        ways.push({ left, right, score, leftLength: cut, rightLength: letters.length - cut })
      }
    }
    ways.sort(
      (a, b) => ids.get(a.left)! - ids.get(b.left)! || ids.get(a.right)! - ids.get(b.right)!,
    )
    merges.push(...ways)
  }
  // Among pieces of one score the longer left part comes first, then the longer right part.
  merges.sort(
    (a, b) => b.score - a.score || b.leftLength - a.leftLength || b.rightLength - a.rightLength,
  )
  return merges.map(({ left, right }) => [left, right])
}

/** Everything of tokenizer.json around the model: ▁ for spaces on the way in, and back. */
export function sentencePiecePipeline(addsSpacePrefix: boolean) {
  return {
    normalizer: {
      type: 'Sequence',
      normalizers: [
        ...(addsSpacePrefix ? [{ type: 'Prepend', prepend: SPACE }] : []),
        { type: 'Replace', pattern: { String: ' ' }, content: SPACE },
      ],
    },
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(addsSpacePrefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
  }
}
