using System;
using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Unicode;
using Kmem;

namespace Parser.Tree;

/// <summary>A recursive descent over UTF-8 (RFC 8259). It appends a node for each value and copies no text but names.</summary>
internal ref struct JsonParser
{
    private static readonly SearchValues<byte> s_stopsOfString = SearchValues.Create([(byte)'"', (byte)'\\', .. ControlCharacters()]);

    private readonly ReadOnlySpan<byte> _text;
    private readonly NativeList<Node> _nodes;
    private readonly NameTable _names;
    private readonly NativeBufferWriter _scratch;
    private readonly int _depthMost;
    private int _at;

    private JsonParser(ReadOnlySpan<byte> text, NativeList<Node> nodes, NameTable names, NativeBufferWriter scratch, int depthMost)
    {
        _text = text;
        _nodes = nodes;
        _names = names;
        _scratch = scratch;
        _depthMost = depthMost;
    }

    /// <exception cref="BadInputException">It is no JSON, no UTF-8, or too deep; says where.</exception>
    public static void Parse(ReadOnlySpan<byte> text, NativeList<Node> nodes, NameTable names, NativeBufferWriter scratch, int depthMost)
    {
        JsonParser parser = new(text, nodes, names, scratch, depthMost);
        parser.CheckEncoding();
        parser.ParseValue(NameTable.None, depth: 1);
        parser.SkipBlanks();
        if (parser._at != text.Length)
        {
            throw parser.Expected("the end of the document");
        }
    }

    private void ParseValue(int name, int depth)
    {
        SkipBlanks();
        switch (Peek())
        {
            case '{':
                ParseObject(name, depth);
                break;
            case '[':
                ParseArray(name, depth);
                break;
            case '"':
                (int start, int length, bool hasEscapes) = ScanString();
                _nodes.Add(Node.OfText(NodeKind.String, name, start, length, hasEscapes));
                break;
            case 't':
                ParseWord("true"u8, NodeKind.True, name);
                break;
            case 'f':
                ParseWord("false"u8, NodeKind.False, name);
                break;
            case 'n':
                ParseWord("null"u8, NodeKind.Null, name);
                break;
            case '-' or (>= '0' and <= '9'):
                ParseNumber(name);
                break;
            default:
                throw Expected("a value");
        }
    }

    private void ParseObject(int name, int depth)
    {
        int self = Open(NodeKind.Object, name, depth);
        int count = 0;
        SkipBlanks();
        if (Peek() != '}')
        {
            do
            {
                SkipBlanks();
                int member = Peek() == '"' ? ParseName() : throw Expected(count == 0 ? "a name in quotes or '}'" : "a name in quotes");
                SkipBlanks();
                Take(':', "':' after a name");
                ParseValue(member, depth + 1);
                count++;
                SkipBlanks();
            }
            while (TryTake(','));
        }

        Take('}', "',' or '}'");
        _nodes[self].Close(_nodes.Count, count);
    }

    private void ParseArray(int name, int depth)
    {
        int self = Open(NodeKind.Array, name, depth);
        int count = 0;
        SkipBlanks();
        if (Peek() != ']')
        {
            do
            {
                ParseValue(NameTable.None, depth + 1);
                count++;
                SkipBlanks();
            }
            while (TryTake(','));
        }

        Take(']', "',' or ']'");
        _nodes[self].Close(_nodes.Count, count);
    }

    private int Open(NodeKind kind, int name, int depth)
    {
        if (depth > _depthMost)
        {
            throw new BadInputException(string.Create(CultureInfo.InvariantCulture, $"nested more than {_depthMost} deep (--depth)"), _text, _at);
        }

        _at++;
        _nodes.Add(Node.Open(kind, name));
        return _nodes.Count - 1;
    }

    private int ParseName()
    {
        (int start, int length, bool hasEscapes) = ScanString();
        ReadOnlySpan<byte> text = _text.Slice(start, length);
        if (hasEscapes)
        {
            Span<byte> value = _scratch.GetSpan(length);
            text = value[..Escapes.Decode(text, value)];
        }

        return _names.Intern(text);
    }

    private (int Start, int Length, bool HasEscapes) ScanString()
    {
        int start = ++_at;
        bool hasEscapes = false;
        while (true)
        {
            int plain = _text[_at..].IndexOfAny(s_stopsOfString);
            _at = plain < 0 ? _text.Length : _at + plain;
            switch (Peek())
            {
                case '"':
                    return (start, _at++ - start, hasEscapes);
                case '\\':
                    int length = Escapes.Read(_text[_at..], out _);
                    _at = length != 0 ? _at + length : throw Expected("an escape, one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX (a high surrogate with its low one)");
                    hasEscapes = true;
                    break;
                default:
                    throw Expected("the '\"' that ends a string");
            }
        }
    }

    private void ParseWord(ReadOnlySpan<byte> word, NodeKind kind, int name)
    {
        if (!_text[_at..].StartsWith(word))
        {
            throw Expected("a value");
        }

        _nodes.Add(Node.OfText(kind, name, _at, word.Length));
        _at += word.Length;
    }

    private void ParseNumber(int name)
    {
        int start = _at;
        _ = TryTake('-');
        if (!TryTake('0'))
        {
            TakeDigits();
        }

        if (TryTake('.'))
        {
            TakeDigits();
        }

        if (TryTake('e') || TryTake('E'))
        {
            _ = TryTake('+') || TryTake('-');
            TakeDigits();
        }

        _nodes.Add(Node.OfText(NodeKind.Number, name, start, _at - start));
    }

    private void TakeDigits()
    {
        int digits = _text[_at..].IndexOfAnyExceptInRange((byte)'0', (byte)'9');
        digits = digits < 0 ? _text.Length - _at : digits;
        _at = digits != 0 ? _at + digits : throw Expected("a digit");
    }

    private void SkipBlanks()
    {
        while (Peek() is ' ' or '\n' or '\r' or '\t')
        {
            _at++;
        }
    }

    /// <summary>The next byte; -1 at the end.</summary>
    private readonly int Peek() => _at < _text.Length ? _text[_at] : -1;

    private bool TryTake(char wanted)
    {
        bool isThere = Peek() == wanted;
        _at += isThere ? 1 : 0;
        return isThere;
    }

    private void Take(char wanted, string what)
    {
        if (!TryTake(wanted))
        {
            throw Expected(what);
        }
    }

    private readonly void CheckEncoding()
    {
        if (Utf8.IsValid(_text))
        {
            return;
        }

        int at = 0;
        while (Rune.DecodeFromUtf8(_text[at..], out _, out int length) == OperationStatus.Done)
        {
            at += length;
        }

        throw new BadInputException(string.Create(CultureInfo.InvariantCulture, $"UTF-8 is expected, not the byte 0x{_text[at]:X2}"), _text, at);
    }

    private readonly BadInputException Expected(string what)
    {
        _ = Rune.DecodeFromUtf8(_text[_at..], out Rune found, out int length);
        string name = length == 0 ? "the end of the document" : Rune.IsControl(found) ? $"U+{found.Value:X4}" : $"'{found}'";
        return new BadInputException($"{what} is expected, not {name}", _text, _at);
    }

    private static byte[] ControlCharacters()
    {
        byte[] all = new byte[0x20];
        for (int code = 0; code < all.Length; code++)
        {
            all[code] = (byte)code;
        }

        return all;
    }
}
