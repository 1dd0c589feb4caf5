using System;
using System.Collections.Generic;
using System.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Kmem.Tests.Tidy.Rules;

/// <summary>
/// A public member that takes a pointer says in its documentation, under <c>&lt;safety&gt;</c>, what the caller must see
/// to: the compiler cannot.
/// </summary>
public static class SafetyRule
{
    public static IEnumerable<Finding> Check(SourceFile file)
    {
        foreach (MemberDeclarationSyntax member in file.Root.DescendantNodes().OfType<MemberDeclarationSyntax>())
        {
            SeparatedSyntaxList<ParameterSyntax>? parameters = member switch
            {
                BaseMethodDeclarationSyntax method => method.ParameterList.Parameters,
                IndexerDeclarationSyntax indexer => indexer.ParameterList.Parameters,
                DelegateDeclarationSyntax declaration => declaration.ParameterList.Parameters,
                _ => null,
            };
            if (parameters is { } list && list.Any(p => p.Type is PointerTypeSyntax or FunctionPointerTypeSyntax)
                && IsPublic(member) && !HasSafety(member))
            {
                yield return file.At(member.ChildTokens().FirstOrDefault(t => t.IsKind(SyntaxKind.IdentifierToken)), "Takes a pointer: say in <safety> what the caller must see to.");
            }
        }
    }

    private static bool IsPublic(MemberDeclarationSyntax member) =>
        member.Modifiers.Any(SyntaxKind.PublicKeyword)
        && member.Ancestors().OfType<BaseTypeDeclarationSyntax>().All(t => t.Modifiers.Any(SyntaxKind.PublicKeyword));

    private static bool HasSafety(MemberDeclarationSyntax member)
    {
        string comment = string.Concat(member.GetLeadingTrivia()
            .Where(t => t.IsKind(SyntaxKind.SingleLineDocumentationCommentTrivia))
            .Select(t => t.ToFullString()));

        // A member that inherits its documentation inherits this part of it, too.
        return comment.Contains("<safety>", StringComparison.Ordinal) || comment.Contains("<inheritdoc", StringComparison.Ordinal);
    }
}
