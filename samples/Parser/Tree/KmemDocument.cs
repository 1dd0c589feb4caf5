using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Kmem;

namespace Parser.Tree;

/// <summary>A document off the heap: its bytes, a list of nodes and a table of names. The garbage collector sees a dozen small objects, however large it is.</summary>
internal sealed class KmemDocument : IDocument
{
    private const int FlushBytes = 16 << 10;

    private readonly SourceText _source;
    private readonly NativeList<Node> _nodes;
    private readonly NameTable _names;

    /// <summary>For strings with escapes, while one is looked at.</summary>
    private readonly NativeBufferWriter _scratch;

    private KmemDocument(SourceText source, KmemHeap heap)
    {
        _source = source;
        _nodes = new NativeList<Node>(heap: heap);
        _names = new NameTable(heap);
        _scratch = new NativeBufferWriter(heap: heap);
    }

    public long Values => _nodes.Count;

    public IEnumerable<(string Name, long Bytes)> Parts =>
    [
        ("source", _source.Bytes),
        ("nodes", (long)_nodes.Capacity * Unsafe.SizeOf<Node>()),
        ("names", _names.Bytes),
    ];

    /// <exception cref="BadInputException">It is no JSON; says where.</exception>
    /// <exception cref="OutOfMemoryException">The heap is too small for it. Nothing of it is left there.</exception>
    public static KmemDocument Parse(Stream input, KmemHeap heap, int depthMost)
    {
        KmemDocument document = new(SourceText.Read(input, heap), heap);
        try
        {
            JsonParser.Parse(document._source.Span, document._nodes, document._names, document._scratch, depthMost);
            return document;
        }
        catch
        {
            document.Dispose();
            throw;
        }
    }

    public long Count(JsonPath path)
    {
        int node = Find(path);
        return After(node) - node;
    }

    public void Write(JsonPath path, Utf8JsonWriter writer) => _ = Write(Find(path), writer);

    public void Dispose()
    {
        _source.Dispose();
        _nodes.Dispose();
        _names.Dispose();
        _scratch.Dispose();
    }

    private int Find(JsonPath path)
    {
        int node = 0;
        string before = "$";
        foreach (PathStep step in path.Steps)
        {
            int found = step.Name != null ? Member(node, step.Name) : Element(node, step.Index);
            node = found > 0 ? found : throw step.Nothing(before, Describe(node));
            before = step.Until;
        }

        return node;
    }

    /// <summary>The last member of that name, as others have it; 0 if there is none.</summary>
    private int Member(int node, string text)
    {
        int name = _names.Find(Encoding.UTF8.GetBytes(text));
        int found = 0;
        if (_nodes[node].Kind == NodeKind.Object && name != NameTable.None)
        {
            int end = _nodes[node].End;
            for (int child = node + 1; child < end; child = After(child))
            {
                found = _nodes[child].Name == name ? child : found;
            }
        }

        return found;
    }

    /// <summary>An element; 0 if there is none.</summary>
    private int Element(int node, int index)
    {
        if (_nodes[node].Kind != NodeKind.Array || index >= _nodes[node].Count)
        {
            return 0;
        }

        int child = node + 1;
        while (index-- > 0)
        {
            child = After(child);
        }

        return child;
    }

    /// <summary>The first node that is not in this one.</summary>
    private int After(int node) => _nodes[node].IsContainer ? _nodes[node].End : node + 1;

    /// <returns>The first node that is not in this one.</returns>
    private int Write(int index, Utf8JsonWriter writer)
    {
        Node node = _nodes[index];
        switch (node.Kind)
        {
            case NodeKind.Object:
                writer.WriteStartObject();
                index = WriteChildren(index, writer);
                writer.WriteEndObject();
                break;
            case NodeKind.Array:
                writer.WriteStartArray();
                index = WriteChildren(index, writer);
                writer.WriteEndArray();
                break;
            case NodeKind.String:
                writer.WriteStringValue(ValueOf(node));
                index++;
                break;
            default:
                writer.WriteRawValue(TextOf(node), skipInputValidation: true);
                index++;
                break;
        }

        if (writer.BytesPending > FlushBytes)
        {
            writer.Flush();
        }

        return index;
    }

    private int WriteChildren(int index, Utf8JsonWriter writer)
    {
        int end = _nodes[index].End;
        int child = index + 1;
        while (child < end)
        {
            int name = _nodes[child].Name;
            if (name != NameTable.None)
            {
                writer.WritePropertyName(_names.TextOf(name));
            }

            child = Write(child, writer);
        }

        return end;
    }

    private ReadOnlySpan<byte> TextOf(Node node) => _source.Span.Slice(node.Start, node.Length);

    private ReadOnlySpan<byte> ValueOf(Node text)
    {
        if (!text.HasEscapes)
        {
            return TextOf(text);
        }

        Span<byte> value = _scratch.GetSpan(text.Length);
        return value[..Escapes.Decode(TextOf(text), value)];
    }

    private string Describe(int node) => _nodes[node].Kind switch
    {
        NodeKind.Object => $"an object of {_nodes[node].Count}",
        NodeKind.Array => $"an array of {_nodes[node].Count}",
        NodeKind kind => $"a value of the kind {kind}",
    };
}
