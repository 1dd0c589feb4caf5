using System;
using System.IO;

namespace Kmem.Tool.Hosting;

/// <summary>Files that a command leaves behind; what goes wrong is told in words.</summary>
internal static class OutputFile
{
    /// <summary>Writes a file anew.</summary>
    public static void Write(string path, string text) => Try(path, () => File.WriteAllText(path, text));

    /// <summary>
    /// Fails now where <see cref="Write"/> would fail after an hour of work. What the file holds stays, and a file that was not there
    /// is not there afterwards.
    /// </summary>
    public static void RequireWritable(string path) => Try(path, () =>
    {
        bool isNew = !File.Exists(path);
        using (new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write))
        {
        }

        if (isNew)
        {
            File.Delete(path);
        }
    });

    private static void Try(string path, Action action)
    {
        try
        {
            action();
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
