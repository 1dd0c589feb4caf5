using System;
using System.Collections.Generic;
using System.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Kmem.Tests.Tidy.Rules;

/// <summary>
/// The engine needs no runtime: no garbage, no exceptions, no closures, no state of a thread; and only
/// <c>Primitives</c> names the intrinsics that both faces bring along.
/// </summary>
public static class FreestandingRule
{
    private static readonly string[] s_primitivesOnly = ["Interlocked", "Volatile", "Unsafe", "BitOperations", "Thread", "Monitor"];

    private static readonly string[] s_foreignNamespaces = ["System.Collections", "System.Linq", "System.Threading.Tasks", "System.Text", "System.IO"];

    public static IEnumerable<Finding> Check(SourceFile file, Compilation compilation)
    {
        SemanticModel model = compilation.GetSemanticModel(file.Tree);
        foreach (SyntaxNode node in file.Root.DescendantNodes())
        {
            if (Complaint(file, node, model) is { } complaint)
            {
                yield return file.At(node, complaint);
            }
        }

        foreach (SyntaxToken token in file.Root.DescendantTokens())
        {
            if (token.IsKind(SyntaxKind.AsyncKeyword))
            {
                yield return file.At(token, "The engine has no async methods.");
            }
        }
    }

    private static string? Complaint(SourceFile file, SyntaxNode node, SemanticModel model) => node switch
    {
        UsingDirectiveSyntax u when u.Name is { } name && s_foreignNamespaces.Any(n => name.ToString() == n || name.ToString().StartsWith(n + ".", StringComparison.Ordinal)) =>
            $"The engine does not use {name}.",
        IdentifierNameSyntax { Identifier.ValueText: var name } when file.Layer != "Primitives" && s_primitivesOnly.Contains(name) && IsTypeName(node) =>
            $"{name} appears only in Engine/Primitives.",
        AttributeSyntax a when a.Name.ToString().EndsWith("ThreadStatic", StringComparison.Ordinal) => "The engine keeps no state per thread.",
        AnonymousFunctionExpressionSyntax => "The engine has no lambdas: pass a function pointer and a context.",
        LocalFunctionStatementSyntax f when !f.Modifiers.Any(SyntaxKind.StaticKeyword) => "A local function of the engine is static: nothing is captured.",
        QueryExpressionSyntax => "The engine has no LINQ.",
        AwaitExpressionSyntax => "The engine does not await.",
        YieldStatementSyntax => "The engine has no iterators.",
        ThrowStatementSyntax or ThrowExpressionSyntax => "The engine returns a result and never throws.",
        TryStatementSyntax => "The engine has no try: nothing in it throws.",
        LockStatementSyntax => "The engine locks with RankedLock.",
        InterpolatedStringExpressionSyntax => "The engine makes no strings.",
        BaseObjectCreationExpressionSyntax when model.GetTypeInfo(node).Type is not { IsValueType: true } => "The engine makes no objects: structs and pointers only.",
        ArrayCreationExpressionSyntax or ImplicitArrayCreationExpressionSyntax => "The engine makes no arrays: take memory from the layer below, or stackalloc.",
        CollectionExpressionSyntax when model.GetTypeInfo(node).ConvertedType is IArrayTypeSymbol => "The engine makes no arrays: take memory from the layer below, or stackalloc.",
        ClassDeclarationSyntax c when !c.Modifiers.Any(SyntaxKind.StaticKeyword) => "Classes of the engine are static; what has state is a struct.",
        RecordDeclarationSyntax => "The engine has no records: their members need a runtime.",
        FieldDeclarationSyntax f when IsManagedStatic(f) => "A static field of the engine with an initialiser is const: there are no static constructors.",
        ConstructorDeclarationSyntax c when c.Modifiers.Any(SyntaxKind.StaticKeyword) => "The engine has no static constructors.",
        ExpressionSyntax e when IsBoxing(e, model) => "The engine does not box.",
        _ => null,
    };

    private static bool IsTypeName(SyntaxNode node) =>
        node.Parent is MemberAccessExpressionSyntax access && (access.Expression == node || access.Name == node && access.Parent is MemberAccessExpressionSyntax)
        || node.Parent is QualifiedNameSyntax;

    private static bool IsManagedStatic(FieldDeclarationSyntax field) =>
        field.Modifiers.Any(SyntaxKind.StaticKeyword) && field.Declaration.Variables.Any(v => v.Initializer != null);

    private static bool IsBoxing(ExpressionSyntax expression, SemanticModel model)
    {
        TypeInfo type = model.GetTypeInfo(expression);
        return type.Type is { IsValueType: true } && type.ConvertedType is { IsReferenceType: true } && model.GetConversion(expression).IsBoxing;
    }
}
