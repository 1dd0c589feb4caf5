using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Parser;

/// <summary>The same with System.Text.Json's own tree, to compare: each value is an object, and each text a string, once it was looked at.</summary>
internal sealed class ManagedDocument : IDocument
{
    private readonly JsonNode? _root;

    private ManagedDocument(JsonNode? root)
    {
        _root = root;
        Values = CountIn(root);
    }

    public long Values { get; }

    public IEnumerable<(string Name, long Bytes)> Parts => [];

    /// <exception cref="BadInputException">It is no JSON, or an object has a name twice, which this tree has no place for; says where, if the framework does.</exception>
    public static ManagedDocument Parse(Stream input, int depthMost)
    {
        try
        {
            return new ManagedDocument(JsonNode.Parse(input, documentOptions: new JsonDocumentOptions { MaxDepth = depthMost, AllowDuplicateProperties = false }));
        }
        catch (JsonException exception)
        {
            string message = exception.Message.Split(" LineNumber:")[0];
            throw exception is { LineNumber: long line, BytePositionInLine: long column } ? new BadInputException(message, line + 1, column + 1) : new BadInputException(message);
        }
    }

    public long Count(JsonPath path) => CountIn(Find(path));

    public void Write(JsonPath path, Utf8JsonWriter writer)
    {
        JsonNode? node = Find(path);
        if (node == null)
        {
            writer.WriteNullValue();
        }
        else
        {
            node.WriteTo(writer);
        }
    }

    public void Dispose()
    {
        // There is nothing to free: a collection finds it some day.
    }

    private JsonNode? Find(JsonPath path)
    {
        JsonNode? node = _root;
        string before = "$";
        foreach (PathStep step in path.Steps)
        {
            node = node switch
            {
                JsonObject members when step.Name != null && members.TryGetPropertyValue(step.Name, out JsonNode? member) => member,
                JsonArray elements when step.Name == null && step.Index < elements.Count => elements[step.Index],
                JsonObject members => throw step.Nothing(before, $"an object of {members.Count}"),
                JsonArray elements => throw step.Nothing(before, $"an array of {elements.Count}"),
                _ => throw step.Nothing(before, $"a value of the kind {node?.GetValueKind() ?? JsonValueKind.Null}"),
            };
            before = step.Until;
        }

        return node;
    }

    /// <summary>This makes the tree: System.Text.Json makes a node when it is asked for.</summary>
    private static long CountIn(JsonNode? node) => 1 + node switch
    {
        JsonObject members => members.Sum(static member => CountIn(member.Value)),
        JsonArray elements => elements.Sum(CountIn),
        _ => 0,
    };
}
