using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Kmem.Tool.Hosting;

/// <summary>Writes results as JSON files.</summary>
internal static class JsonFile
{
    /// <summary>Instead of a path: standard output.</summary>
    public const string StandardOutput = "-";

    /// <summary>Writes <paramref name="value"/> to <paramref name="path"/>, or to standard output for <c>-</c> where <paramref name="console"/> is given.</summary>
    public static void Save<T>(string path, T value, JsonTypeInfo<T> type, ToolConsole? console = null)
    {
        string text = JsonSerializer.Serialize(value, type) + "\n";
        if (path == StandardOutput && console != null)
        {
            console.OutText.Write(text);
            console.OutText.Flush();
            return;
        }

        OutputFile.Write(path, text);
    }
}
