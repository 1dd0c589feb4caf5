using System;
using System.Collections.Generic;
using System.IO;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Kmem.Tests.Tidy;

/// <summary>A text file of the repository. <see cref="Path"/> is relative to the root, with forward slashes.</summary>
public sealed class SourceFile
{
    private const string EngineFolder = "src/Kmem/Engine/";

    private readonly Lazy<SyntaxTree> _tree;

    public SourceFile(string path, string text)
    {
        Path = path;
        Text = text;
        _tree = new(() => CSharpSyntaxTree.ParseText(Text, ParseOptions, Path));
    }

    /// <summary>Release: what <c>[Conditional("DEBUG")]</c> guards is still parsed and bound.</summary>
    public static CSharpParseOptions ParseOptions { get; } = new(LanguageVersion.Latest, DocumentationMode.Parse);

    public string Path { get; }

    public string Text { get; }

    public SyntaxTree Tree => _tree.Value;

    public SyntaxNode Root => Tree.GetRoot();

    public string Name => System.IO.Path.GetFileName(Path);

    public bool IsCSharp => Path.EndsWith(".cs", StringComparison.Ordinal);

    public bool IsMarkdown => Path.EndsWith(".md", StringComparison.Ordinal);

    public bool IsEngine => Path.StartsWith(EngineFolder, StringComparison.Ordinal);

    /// <summary>The engine's folder that the file is in, such as <c>Pages</c>; empty outside of the engine.</summary>
    public string Layer
    {
        get
        {
            if (!IsEngine)
            {
                return "";
            }

            string rest = Path[EngineFolder.Length..];
            int slash = rest.IndexOf('/', StringComparison.Ordinal);
            return slash < 0 ? "" : rest[..slash];
        }
    }

    public IEnumerable<(int Number, string Text)> Lines()
    {
        string[] lines = Text.Split('\n');
        int count = lines[^1].Length == 0 ? lines.Length - 1 : lines.Length;
        for (int i = 0; i < count; i++)
        {
            yield return (i + 1, lines[i]);
        }
    }

    public Finding At(SyntaxNode node, string message) => At(node.GetLocation(), message);

    public Finding At(SyntaxToken token, string message) => At(token.GetLocation(), message);

    public Finding At(Location location, string message) =>
        new(Path, location.GetLineSpan().StartLinePosition.Line + 1, message);

    public static SourceFile Read(string root, string path) => new(path, File.ReadAllText(System.IO.Path.Combine(root, path)));
}
