// A small WordPiece tokenizer as BERT's are: marks around a text, pieces of words, lower case.

const MARKS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
const WORDS =
  'the a cat dog sat on mat berlin paris alice bob lives in works for acme good bad great is was not very river ' +
  'bank money water what where who how do you roll back version model . , ! ?'
const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789'

export function wordPieceTokens(): string[] {
  const letters = [...LETTERS]
  return [...new Set([...MARKS, ...WORDS.split(' '), ...letters, ...letters.map((l) => `##${l}`)])]
}

export function wordPieceTokenizer() {
  const tokens = wordPieceTokens()
  const special = (content: string, type_id: number) => ({ SpecialToken: { id: content, type_id } })
  const text = (id: 'A' | 'B', type_id: number) => ({ Sequence: { id, type_id } })
  const single = [special('[CLS]', 0), text('A', 0), special('[SEP]', 0)]
  const json = {
    version: '1.0',
    // As published files have them: both would spoil what is asked for, and neither may count.
    truncation: { max_length: 8, strategy: 'LongestFirst', stride: 0 },
    padding: { strategy: { Fixed: 8 }, pad_id: 0, pad_type_id: 0, pad_token: '[PAD]' },
    added_tokens: MARKS.map((content, id) => ({ id, content, special: true, normalized: false })),
    normalizer: { type: 'BertNormalizer', clean_text: true, lowercase: true, strip_accents: null },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single,
      pair: [...single, text('B', 1), special('[SEP]', 1)],
      special_tokens: Object.fromEntries(
        ['[CLS]', '[SEP]'].map((id) => [id, { id, ids: [tokens.indexOf(id)], tokens: [id] }]),
      ),
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    },
  }
  const config = { tokenizer_class: 'BertTokenizer', do_lower_case: true, pad_token: '[PAD]' }
  return { json, config, padTokenId: 0 }
}
