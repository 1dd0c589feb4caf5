using System;
using System.IO;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Kmem.Tool.Hosting;

/// <summary>Writes results as JSON files.</summary>
internal static class JsonFile
{
    /// <summary>Writes <paramref name="value"/> to <paramref name="path"/>, or to standard output for <c>-</c> where <paramref name="console"/> is given.</summary>
    public static void Save<T>(string path, T value, JsonTypeInfo<T> type, ToolConsole? console = null)
    {
        string text = JsonSerializer.Serialize(value, type) + "\n";
        if (path == "-" && console != null)
        {
            console.OutText.Write(text);
            console.OutText.Flush();
            return;
        }

        try
        {
            File.WriteAllText(path, text);
        }
        catch (UnauthorizedAccessException exception)
        {
            string why = Directory.Exists(path) ? "is a directory" : "permission denied";
            throw new ToolException($"{path}: cannot be written: {why}", exception);
        }
        catch (DirectoryNotFoundException exception)
        {
            throw new ToolException($"{path}: cannot be written: the folder does not exist", exception);
        }
        catch (Exception exception) when (exception is IOException or ArgumentException or NotSupportedException)
        {
            throw new ToolException($"{path}: cannot be written: {exception.Message}", exception);
        }
    }
}
