using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;

namespace Kmem.Tests.Tidy;

/// <summary>The checkout that the tests run in: every text file that a person writes.</summary>
public static class Repository
{
    private static readonly string[] s_ignoredFolders =
        [".git", ".vs", ".idea", "bin", "obj", "artifacts", "BenchmarkDotNet.Artifacts", "TestResults"];

    private static readonly string[] s_textSuffixes =
        [".cs", ".csproj", ".props", ".targets", ".slnx", ".json", ".md", ".sh", ".c", ".cpp", ".h", ".editorconfig", ".gitignore", ".ci/run", ".py", ".txt", ".yml"];

    private static readonly Lazy<string> s_root = new(FindRoot);
    private static readonly Lazy<IReadOnlyList<SourceFile>> s_files = new(ReadAll);

    public static string Root => s_root.Value;

    public static IReadOnlyList<SourceFile> Files => s_files.Value;

    public static IEnumerable<SourceFile> CSharp => Files.Where(f => f.IsCSharp);

    public static IEnumerable<SourceFile> Engine => CSharp.Where(f => f.IsEngine);

    public static IEnumerable<SourceFile> Markdown => Files.Where(f => f.IsMarkdown);

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder != null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Kmem.slnx")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException("No Kmem.slnx above " + AppContext.BaseDirectory);
    }

    private static List<SourceFile> ReadAll()
    {
        List<SourceFile> files = [];
        Read(new DirectoryInfo(Root), files);
        return files;
    }

    private static void Read(DirectoryInfo folder, List<SourceFile> files)
    {
        foreach (FileInfo file in folder.EnumerateFiles())
        {
            string path = Path.GetRelativePath(Root, file.FullName).Replace('\\', '/');
            if (s_textSuffixes.Any(suffix => path.EndsWith(suffix, StringComparison.Ordinal)))
            {
                files.Add(SourceFile.Read(Root, path));
            }
        }

        foreach (DirectoryInfo child in folder.EnumerateDirectories())
        {
            if (!s_ignoredFolders.Contains(child.Name) && child.LinkTarget == null)
            {
                Read(child, files);
            }
        }
    }
}
